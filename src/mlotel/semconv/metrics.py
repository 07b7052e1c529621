"""Metrics: name, instrument, unit, attributes and limits of the buckets.

Made from registry/ by tools/generate_semconv.py: change the names there.
"""

from typing import Final

from mlotel.semconv._spec import MetricSpec

# Pipelines and components
ML_PIPELINE_DURATION: Final = MetricSpec(
    name="ml.pipeline.duration",
    instrument="histogram",
    unit="s",
    brief="How long a run of a pipeline took.",
    attributes=("ml.pipeline.name", "error.type"),
    bounds=(0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400),
)
ML_COMPONENT_DURATION: Final = MetricSpec(
    name="ml.component.duration",
    instrument="histogram",
    unit="s",
    brief="How long a run of a component took.",
    attributes=("ml.component.name", "ml.component.type", "error.type"),
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
ML_COMPONENT_CPU_TIME: Final = MetricSpec(
    name="ml.component.cpu.time",
    instrument="histogram",
    unit="s",
    brief="Processor time that a run of a component used.",
    attributes=("ml.component.name",),
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
ML_COMPONENT_MEMORY_PEAK: Final = MetricSpec(
    name="ml.component.memory.peak",
    instrument="histogram",
    unit="By",
    brief="Rise of the peak memory of the process during a run of a component.",
    attributes=("ml.component.name",),
    bounds=(
        1048576,
        4194304,
        16777216,
        67108864,
        268435456,
        1073741824,
        4294967296,
        17179869184,
        68719476736,
        274877906944,
    ),
)
ML_DATA_ROWS: Final = MetricSpec(
    name="ml.data.rows",
    instrument="counter",
    unit="{row}",
    brief="Rows that a component read or wrote.",
    attributes=("ml.artifact.role", "ml.component.name"),
)
ML_DATA_ROWS_REMOVED: Final = MetricSpec(
    name="ml.data.rows.removed",
    instrument="counter",
    unit="{row}",
    brief="Rows that a component removed.",
    attributes=("ml.removal.reason", "ml.component.name"),
)
ML_DATA_STALE: Final = MetricSpec(
    name="ml.data.stale",
    instrument="counter",
    unit="{artifact}",
    brief="Inputs that were stale when a component read them.",
    attributes=("ml.component.name",),
)

# Checks
ML_CHECK_FAILURES: Final = MetricSpec(
    name="ml.check.failures",
    instrument="counter",
    unit="{failure}",
    brief="Checks that failed.",
    attributes=("ml.check.name", "ml.component.name"),
)

# Calls into machine-learning libraries
ML_OPERATION_DURATION: Final = MetricSpec(
    name="ml.operation.duration",
    instrument="histogram",
    unit="s",
    brief="How long a call of an object of an instrumented library took.",
    attributes=("ml.operation.name", "ml.component.name", "ml.system.name", "error.type"),
    bounds=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
ML_STEP_DURATION: Final = MetricSpec(
    name="ml.step.duration",
    instrument="histogram",
    unit="s",
    brief="How long a step took inside one call of the object that it is part of, all its calls added up.",
    attributes=("ml.step.name", "ml.operation.name", "ml.component.name", "ml.system.name"),
    bounds=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)

# Predictions
ML_INFERENCE_DURATION: Final = MetricSpec(
    name="ml.inference.duration",
    instrument="histogram",
    unit="s",
    brief="How long a prediction call took.",
    attributes=("ml.model.name", "ml.model.version", "error.type"),
    bounds=(0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10),
)
ML_INFERENCE_ROWS: Final = MetricSpec(
    name="ml.inference.rows",
    instrument="counter",
    unit="{row}",
    brief="Rows that a model was asked to predict.",
    attributes=("ml.model.name", "ml.model.version", "error.type"),
)
ML_INFERENCE_ACTIVE: Final = MetricSpec(
    name="ml.inference.active",
    instrument="updowncounter",
    unit="{inference}",
    brief="Prediction calls that are running now.",
    attributes=("ml.model.name", "ml.model.version"),
)
ML_INFERENCE_PREDICTIONS: Final = MetricSpec(
    name="ml.inference.predictions",
    instrument="counter",
    unit="{prediction}",
    brief="Predictions of each class.",
    attributes=("ml.model.name", "ml.model.version", "ml.class.label"),
)
ML_INFERENCE_CONFIDENCE: Final = MetricSpec(
    name="ml.inference.confidence",
    instrument="histogram",
    unit="{score}",
    brief="Highest score among the classes.",
    attributes=("ml.model.name", "ml.model.version"),
    bounds=(0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1),
)
ML_INFERENCE_VALUE: Final = MetricSpec(
    name="ml.inference.value",
    instrument="histogram",
    unit="{value}",
    brief="Predicted numbers.",
    attributes=("ml.model.name", "ml.model.version"),
    exponential=True,
)

# Data quality and drift
ML_CLASS_PROPORTION: Final = MetricSpec(
    name="ml.class.proportion",
    instrument="gauge",
    unit="{fraction}",
    brief="Share of each class.",
    attributes=("ml.model.name", "ml.model.version", "ml.class.label", "ml.data.role"),
)
ML_CLASS_IMBALANCE: Final = MetricSpec(
    name="ml.class.imbalance",
    instrument="gauge",
    unit="{ratio}",
    brief="Largest class over smallest.",
    attributes=("ml.model.name", "ml.model.version", "ml.data.role"),
)
ML_FEATURE_VALUES: Final = MetricSpec(
    name="ml.feature.values",
    instrument="counter",
    unit="{value}",
    brief="Values of a feature that fell into each bin of the reference.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name", "ml.feature.bin"),
)
ML_FEATURE_REFERENCE_PROPORTION: Final = MetricSpec(
    name="ml.feature.reference.proportion",
    instrument="gauge",
    unit="{fraction}",
    brief="Share of each bin in the reference.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name", "ml.feature.bin"),
)
ML_FEATURE_REFERENCE_ROWS: Final = MetricSpec(
    name="ml.feature.reference.rows",
    instrument="gauge",
    unit="{row}",
    brief="Rows of the reference.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name", "ml.feature.kind"),
)
ML_FEATURE_STATISTIC: Final = MetricSpec(
    name="ml.feature.statistic",
    instrument="gauge",
    unit="{value}",
    brief="A statistic of a feature.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name", "ml.statistic.name"),
)
ML_FEATURE_MISSING: Final = MetricSpec(
    name="ml.feature.missing",
    instrument="gauge",
    unit="{fraction}",
    brief="Share of the values that are missing.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name"),
)
ML_FEATURE_UNSEEN: Final = MetricSpec(
    name="ml.feature.unseen",
    instrument="gauge",
    unit="{fraction}",
    brief="Share of the values that are a category unknown to the reference.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name"),
)
ML_FEATURE_OUT_OF_RANGE: Final = MetricSpec(
    name="ml.feature.out_of_range",
    instrument="gauge",
    unit="{fraction}",
    brief="Share of the values below the reference's least or above its greatest.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name"),
)
ML_DRIFT_SCORE: Final = MetricSpec(
    name="ml.drift.score",
    instrument="gauge",
    unit="{score}",
    brief="Distance from the reference.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name", "ml.drift.statistic"),
)
ML_DRIFT_NOISE: Final = MetricSpec(
    name="ml.drift.noise",
    instrument="gauge",
    unit="{score}",
    brief="Distance to expect when nothing has changed.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name", "ml.drift.statistic"),
)
ML_DRIFT_EVIDENCE: Final = MetricSpec(
    name="ml.drift.evidence",
    instrument="gauge",
    unit="{ratio}",
    brief="Evidence that a feature has changed; 1 is the alarm.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name"),
)
ML_DRIFT_LEVEL: Final = MetricSpec(
    name="ml.drift.level",
    instrument="gauge",
    unit="{level}",
    brief="Certified size of the change, from 0 to 3.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name"),
)
ML_DRIFT_DETECTABLE: Final = MetricSpec(
    name="ml.drift.detectable",
    instrument="gauge",
    unit="{fraction}",
    brief="Smallest change that can be certified.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name"),
)
ML_DRIFT_DETECTIONS: Final = MetricSpec(
    name="ml.drift.detections",
    instrument="counter",
    unit="{detection}",
    brief="Changes that were detected.",
    attributes=("ml.model.name", "ml.model.version", "ml.feature.name"),
)
ML_DRIFT_AGE: Final = MetricSpec(
    name="ml.drift.age",
    instrument="gauge",
    unit="s",
    brief="Time since the last check.",
    attributes=("ml.model.name", "ml.model.version"),
)

# Labels and quality
ML_PERFORMANCE_SCORE: Final = MetricSpec(
    name="ml.performance.score",
    instrument="gauge",
    unit="{score}",
    brief="Quality of the predictions whose labels have come.",
    attributes=("ml.model.name", "ml.model.version", "ml.performance.metric", "ml.data.slice"),
)
ML_PERFORMANCE_LOWER: Final = MetricSpec(
    name="ml.performance.lower",
    instrument="gauge",
    unit="{score}",
    brief="Lower end of the 95 % interval of the score.",
    attributes=("ml.model.name", "ml.model.version", "ml.performance.metric", "ml.data.slice"),
)
ML_PERFORMANCE_UPPER: Final = MetricSpec(
    name="ml.performance.upper",
    instrument="gauge",
    unit="{score}",
    brief="Upper end of the 95 % interval of the score.",
    attributes=("ml.model.name", "ml.model.version", "ml.performance.metric", "ml.data.slice"),
)
ML_PERFORMANCE_ESTIMATE: Final = MetricSpec(
    name="ml.performance.estimate",
    instrument="gauge",
    unit="{score}",
    brief="The score with the labels still due estimated.",
    attributes=("ml.model.name", "ml.model.version", "ml.performance.metric", "ml.data.slice"),
)
ML_PERFORMANCE_COVERAGE: Final = MetricSpec(
    name="ml.performance.coverage",
    instrument="gauge",
    unit="{fraction}",
    brief="Labels that arrived, of those that were due.",
    attributes=("ml.model.name", "ml.model.version"),
)
ML_FEEDBACK_LABELS: Final = MetricSpec(
    name="ml.feedback.labels",
    instrument="counter",
    unit="{label}",
    brief="Labels that arrived.",
    attributes=("ml.model.name", "ml.model.version", "ml.feedback.outcome"),
)
ML_FEEDBACK_DELAY: Final = MetricSpec(
    name="ml.feedback.delay",
    instrument="histogram",
    unit="s",
    brief="Time from a prediction to its label.",
    attributes=("ml.model.name", "ml.model.version"),
    bounds=(1, 10, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000),
)

# Training
ML_TRAINING_STEP_DURATION: Final = MetricSpec(
    name="ml.training.step.duration",
    instrument="histogram",
    unit="s",
    brief="How long an optimizer step took, from the end of the one before.",
    attributes=("ml.model.name", "ml.model.version", "ml.training.stage"),
    bounds=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
ML_TRAINING_EPOCH_DURATION: Final = MetricSpec(
    name="ml.training.epoch.duration",
    instrument="histogram",
    unit="s",
    brief="How long an epoch took.",
    attributes=("ml.model.name", "ml.model.version", "ml.training.stage"),
    bounds=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400),
)
ML_TRAINING_PHASE_DURATION: Final = MetricSpec(
    name="ml.training.phase.duration",
    instrument="histogram",
    unit="s",
    brief="How long a part of a step took.",
    attributes=("ml.model.name", "ml.model.version", "ml.training.phase"),
    bounds=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
ML_TRAINING_STEPS: Final = MetricSpec(
    name="ml.training.steps",
    instrument="counter",
    unit="{step}",
    brief="Optimizer steps.",
    attributes=("ml.model.name", "ml.model.version", "ml.training.stage"),
)
ML_TRAINING_SAMPLES: Final = MetricSpec(
    name="ml.training.samples",
    instrument="counter",
    unit="{sample}",
    brief="Samples that went through the loop.",
    attributes=("ml.model.name", "ml.model.version", "ml.training.stage"),
)
ML_TRAINING_LOSS: Final = MetricSpec(
    name="ml.training.loss",
    instrument="gauge",
    unit="{loss}",
    brief="Last finite loss.",
    attributes=("ml.model.name", "ml.model.version", "ml.loss.name"),
)
ML_TRAINING_LEARNING_RATE: Final = MetricSpec(
    name="ml.training.learning_rate",
    instrument="gauge",
    unit="{rate}",
    brief="Learning rate.",
    attributes=("ml.model.name", "ml.model.version", "ml.optimizer.param_group"),
)
ML_TRAINING_GRADIENT_NORM: Final = MetricSpec(
    name="ml.training.gradient.norm",
    instrument="gauge",
    unit="{norm}",
    brief="Norm of the gradient.",
    attributes=("ml.model.name", "ml.model.version", "ml.optimizer.param_group"),
)
ML_TRAINING_NONFINITE: Final = MetricSpec(
    name="ml.training.nonfinite",
    instrument="counter",
    unit="{loss}",
    brief="Losses that were not a finite number.",
    attributes=("ml.model.name", "ml.model.version", "ml.loss.name"),
)
ML_TRAINING_PROGRESS: Final = MetricSpec(
    name="ml.training.progress",
    instrument="gauge",
    unit="{fraction}",
    brief="How much of the training is done.",
    attributes=("ml.model.name", "ml.model.version"),
)
ML_TRAINING_SCORE: Final = MetricSpec(
    name="ml.training.score",
    instrument="gauge",
    unit="{score}",
    brief="Score that the loop reported.",
    attributes=("ml.model.name", "ml.model.version", "ml.performance.metric", "ml.training.stage"),
)
ML_CHECKPOINT_DURATION: Final = MetricSpec(
    name="ml.checkpoint.duration",
    instrument="histogram",
    unit="s",
    brief="How long saving a checkpoint took.",
    attributes=("ml.model.name", "ml.model.version"),
    bounds=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
ML_CHECKPOINT_SIZE: Final = MetricSpec(
    name="ml.checkpoint.size",
    instrument="histogram",
    unit="By",
    brief="Size of a checkpoint.",
    attributes=("ml.model.name", "ml.model.version"),
    bounds=(
        16384,
        65536,
        262144,
        1048576,
        4194304,
        16777216,
        67108864,
        268435456,
        1073741824,
        4294967296,
        17179869184,
        68719476736,
        274877906944,
        1099511627776,
    ),
)

# Alerts and flags
ML_ALERT_ACTIVE: Final = MetricSpec(
    name="ml.alert.active",
    instrument="gauge",
    unit="{alert}",
    brief="1 while the alert is raised, else 0.",
    attributes=("ml.alert.name", "ml.alert.severity", "ml.model.name", "ml.model.version"),
)

# mlotel's own records
ML_TELEMETRY_DROPPED: Final = MetricSpec(
    name="ml.telemetry.dropped",
    instrument="counter",
    unit="{record}",
    brief="Records that are lost.",
    attributes=("ml.telemetry.signal", "ml.telemetry.reason"),
)
ML_TELEMETRY_SPOOLED: Final = MetricSpec(
    name="ml.telemetry.spooled",
    instrument="counter",
    unit="{record}",
    brief="Records that were written to disk.",
    attributes=("ml.telemetry.signal", "ml.telemetry.reason"),
)
ML_TELEMETRY_EXPORTED: Final = MetricSpec(
    name="ml.telemetry.exported",
    instrument="counter",
    unit="{record}",
    brief="Records that the receiver confirmed.",
    attributes=("ml.telemetry.signal", "ml.telemetry.reason"),
)
