"""Keys of attributes.

Made from registry/ by tools/generate_semconv.py: change the names there.
"""

from typing import Final, Literal, TypeAlias

# Pipelines and components
ML_PIPELINE_NAME: Final = "ml.pipeline.name"
"""Name of the pipeline."""
ML_RUN_ID: Final = "ml.run.id"
"""Which run this belongs to; the same in every process of the run."""
ML_RUN_STATUS: Final = "ml.run.status"
"""How the run ended."""
MlRunStatus: TypeAlias = Literal["ok", "error"]
ML_RUN_DURATION: Final = "ml.run.duration"
"""How long the run had been going on, in seconds, when this was sent."""
ML_RUN_ACTIVE_NAME: Final = "ml.run.active.name"
"""What ran at the time, the component that began last, or the pipeline where no component was open."""
ML_RUN_HEARTBEAT_INTERVAL: Final = "ml.run.heartbeat.interval"
"""Seconds from one heartbeat of the run to the next; 0 where it sends none."""
ML_RUN_COMMAND_HASH: Final = "ml.run.command.hash"
"""Hash of the command line, to tell runs of the same command from others. The command line itself stays here."""
ML_RUN_LIBRARIES: Final = "ml.run.libraries"
"""Libraries for data and models that were loaded when the run ended, with their versions."""
ML_EXPERIMENT_NAME: Final = "ml.experiment.name"
"""Experiment that the run belongs to."""
ML_PARAM_TEMPLATE: Final = "ml.param"
"""A parameter, under its own name."""
ML_TAG_TEMPLATE: Final = "ml.tag"
"""A tag that the user put on the run, under its own name."""
ML_COMPONENT_NAME: Final = "ml.component.name"
"""Name of the component."""
ML_COMPONENT_TYPE: Final = "ml.component.type"
"""Kind of work that the component does, in the user's word."""
ML_COMPONENT_OWNER: Final = "ml.component.owner"
"""Who answers for the component."""
ML_COMPONENT_DESCRIPTION: Final = "ml.component.description"
"""What the component does, in one line."""
ML_COMPONENT_STALENESS: Final = "ml.component.staleness"
"""Why the inputs of the component are out of date; absent when they are fresh."""
ML_COMPONENT_CPU_TIME: Final = "ml.component.cpu.time"
"""Processor time that the component used, in seconds."""
ML_COMPONENT_MEMORY_PEAK: Final = "ml.component.memory.peak"
"""Rise of the peak memory of the process during the component, in bytes; absent when no new peak was set."""
ML_COMPONENT_INPUT_IDS: Final = "ml.component.input.ids"
"""Ids of the artifacts that the component read."""
ML_COMPONENT_OUTPUT_IDS: Final = "ml.component.output.ids"
"""Ids of the artifacts that the component wrote."""
ML_REMOVAL_REASON: Final = "ml.removal.reason"
"""Why rows were removed, in the user's word."""
ML_REMOVAL_ROWS_TEMPLATE: Final = "ml.removal.rows"
"""Rows that the component removed, under the reason for it."""
ML_VCS_DIRTY: Final = "ml.vcs.dirty"
"""Whether the work tree held changes that were not committed."""

# Artifacts and lineage
ML_ARTIFACT_ID: Final = "ml.artifact.id"
"""Which content it is, as scheme and hex digits."""
ML_ARTIFACT_NAME: Final = "ml.artifact.name"
"""What people call it."""
ML_ARTIFACT_URI: Final = "ml.artifact.uri"
"""Where it is, by OpenLineage's rules for names of datasets."""
ML_ARTIFACT_TYPE: Final = "ml.artifact.type"
"""What kind of thing it is."""
MlArtifactType: TypeAlias = Literal[
    "dataset",
    "features",
    "model",
    "predictions",
    "labels",
    "reference",
    "checkpoint",
    "metrics",
    "file",
    "other",
]
ML_ARTIFACT_ROLE: Final = "ml.artifact.role"
"""What the component did with it."""
MlArtifactRole: TypeAlias = Literal["input", "output", "mutated"]
ML_ARTIFACT_DIGEST_SCOPE: Final = "ml.artifact.digest.scope"
"""How much of the content its id stands for; only full makes a lineage match."""
MlArtifactDigestScope: TypeAlias = Literal["full", "sampled", "metadata", "none"]
ML_ARTIFACT_CONTENT_ID: Final = "ml.artifact.content.id"
"""On a file, the id of the table or model in it, when known."""
ML_ARTIFACT_CLAIM_DOUBT: Final = "ml.artifact.claim.doubt"
"""Why a claim about the producer, inside the file or beside it, was not believed."""
ML_ARTIFACT_SCHEMA_HASH: Final = "ml.artifact.schema.hash"
"""Hash of names, order and logical types of the columns."""
ML_ARTIFACT_ROW_COUNT: Final = "ml.artifact.row.count"
"""Rows in it."""
ML_ARTIFACT_COLUMN_COUNT: Final = "ml.artifact.column.count"
"""Columns in it."""
ML_ARTIFACT_SIZE: Final = "ml.artifact.size"
"""Size of the content, in bytes."""
ML_ARTIFACT_PRODUCER: Final = "ml.artifact.producer"
"""Component and run that made it, when known, as component@run."""
ML_ARTIFACT_LINKS_OMITTED: Final = "ml.artifact.links.omitted"
"""Artifacts that are not listed because the list was cut."""
ML_LINK_TYPE: Final = "ml.link.type"
"""What a link means."""
MlLinkType: TypeAlias = Literal["consumed", "derived", "trained", "labelled", "previous"]
ML_LINK_EVIDENCE: Final = "ml.link.evidence"
"""How the link is known."""
MlLinkEvidence: TypeAlias = Literal["process", "embedded", "sidecar", "index", "attrs", "backend", "declared"]

# Checks
ML_CHECK_NAME: Final = "ml.check.name"
"""Name of the check."""
ML_CHECK_STATUS: Final = "ml.check.status"
"""What the check found."""
MlCheckStatus: TypeAlias = Literal["passed", "failed", "skipped"]
ML_CHECK_MESSAGE: Final = "ml.check.message"
"""What the check said."""
ML_CHECK_STAGE: Final = "ml.check.stage"
"""When the check ran."""
MlCheckStage: TypeAlias = Literal["before", "after"]
ML_CHECK_VALUE_TEMPLATE: Final = "ml.check.value"
"""A value that the check looked at, under its own name."""

# Calls into machine-learning libraries
ML_OPERATION_NAME: Final = "ml.operation.name"
"""What was called."""
MlOperationName: TypeAlias = Literal[
    "fit",
    "partial_fit",
    "fit_transform",
    "fit_predict",
    "transform",
    "inverse_transform",
    "predict",
    "predict_proba",
    "decision_function",
    "score",
    "search",
    "cross_validate",
    "fold",
]
ML_SYSTEM_NAME: Final = "ml.system.name"
"""Library that did the work."""
MlSystemName: TypeAlias = Literal["scikit_learn", "pytorch"]
ML_SYSTEM_VERSION: Final = "ml.system.version"
"""Version of that library."""
ML_DATA_ROW_COUNT: Final = "ml.data.row.count"
"""Rows that the call was given."""
ML_DATA_COLUMN_COUNT: Final = "ml.data.column.count"
"""Columns that the call was given."""
ML_DATA_DTYPES: Final = "ml.data.dtypes"
"""Types of the columns, each with how many there are where there are several."""
ML_DATA_SPARSE: Final = "ml.data.sparse"
"""Whether the data are sparse; absent where they are not."""
ML_DATA_MISSING: Final = "ml.data.missing"
"""Share of the cells of the training data that are missing, from 0 to 1."""
ML_CLASS_LABELS: Final = "ml.class.labels"
"""Classes in the training data, the most frequent first."""
ML_CLASS_PROPORTIONS: Final = "ml.class.proportions"
"""Shares of the classes, in the order of ml.class.labels."""
ML_CLASS_COUNT: Final = "ml.class.count"
"""How many classes the training data have."""
ML_STEP_NAME: Final = "ml.step.name"
"""Step of an estimator, by its name in a pipeline, or else by its class."""
ML_STEP_TIME_TEMPLATE: Final = "ml.step.time"
"""Time spent in a step, under the step's name, in seconds, all its calls added up; a step in a step counts in both."""
ML_STEP_LIST: Final = "ml.step.list"
"""Steps of the estimator, each with its class."""
ML_SCORE_TEMPLATE: Final = "ml.score"
"""Score, under its name; the mean over the folds where there are several."""
ML_CONVERGENCE_FAILURE_COUNT: Final = "ml.convergence.failure.count"
"""How often something inside the call said that it did not converge."""
ML_FOLD_INDEX: Final = "ml.fold.index"
"""Which fold, counted from 0."""
ML_FOLD_COUNT: Final = "ml.fold.count"
"""How many folds there are."""
ML_FOLD_OMITTED: Final = "ml.fold.omitted"
"""Folds that have no span of their own, because there were too many."""
ML_CANDIDATE_INDEX: Final = "ml.candidate.index"
"""Which candidate of a search, counted from 0."""
ML_CANDIDATE_COUNT: Final = "ml.candidate.count"
"""How many candidates a search has looked at."""
ML_CANDIDATE_BEST: Final = "ml.candidate.best"
"""Index of the best candidate of a search."""
ML_CANDIDATE_SCORES: Final = "ml.candidate.scores"
"""Mean score of each candidate of a search, by index; of the first 128."""
ML_CANDIDATE_PARAM_TEMPLATE: Final = "ml.candidate.param"
"""Parameters of the best candidate of a search."""

# Predictions
ML_MODEL_NAME: Final = "ml.model.name"
"""Name of the model."""
ML_MODEL_VERSION: Final = "ml.model.version"
"""Version of the model."""
ML_PREDICTION_ID: Final = "ml.prediction.id"
"""Id of the prediction, under which its label comes later."""
ML_PREDICTION_ROW_COUNT: Final = "ml.prediction.row.count"
"""Rows that were predicted in one call."""
ML_PREDICTION_VALUE: Final = "ml.prediction.value"
"""Predicted number, with capture on."""
ML_PREDICTION_CONFIDENCE: Final = "ml.prediction.confidence"
"""Highest score among the classes, from 0 to 1."""
ML_PREDICTION_DURATION: Final = "ml.prediction.duration"
"""How long the prediction took, in seconds."""
ML_CLASS_LABEL: Final = "ml.class.label"
"""Name of a class."""
ML_FEATURE_VALUE_TEMPLATE: Final = "ml.feature.value"
"""Value of a feature that the model was given, under the feature's name, with capture on."""

# Data quality and drift
ML_FEATURE_NAME: Final = "ml.feature.name"
"""Name of a feature."""
ML_FEATURE_BIN: Final = "ml.feature.bin"
"""Bin of the reference, from 00 to 11, in order."""
ML_FEATURE_KIND: Final = "ml.feature.kind"
"""What kind of values a feature has. Bins of boolean and category have no order."""
MlFeatureKind: TypeAlias = Literal["numeric", "integer", "boolean", "category", "text", "datetime"]
ML_STATISTIC_NAME: Final = "ml.statistic.name"
"""Which statistic of a feature."""
MlStatisticName: TypeAlias = Literal["mean", "median", "std", "skewness", "kurtosis", "min", "max"]
ML_DATA_ROLE: Final = "ml.data.role"
"""Which data a number describes."""
MlDataRole: TypeAlias = Literal["reference", "prediction", "label"]
ML_DRIFT_STATISTIC: Final = "ml.drift.statistic"
"""How the distance between two samples was measured."""
MlDriftStatistic: TypeAlias = Literal["psi", "ks", "wasserstein", "js", "hellinger", "tvd", "chi2", "cramers_v"]
ML_DRIFT_EVIDENCE: Final = "ml.drift.evidence"
"""Evidence of a change when the decision was taken; 1 is the alarm."""
ML_DRIFT_LEVEL: Final = "ml.drift.level"
"""Certified size of the change, from 0 to 3."""
ML_DRIFT_DETECTABLE: Final = "ml.drift.detectable"
"""Smallest change that could be certified."""
ML_DRIFT_ONSET_CHECKS: Final = "ml.drift.onset.checks"
"""Checks since the change probably began, 1 for the one that found it."""
ML_DRIFT_ONSET_TIME: Final = "ml.drift.onset.time"
"""When the rows of that first check began to come, in UTC; absent where that is not known."""
ML_DRIFT_CHANGE: Final = "ml.drift.change"
"""What has become more or less frequent. It names values, so it is there with capture on."""
ML_DRIFT_SCORE_TEMPLATE: Final = "ml.drift.score"
"""Distance from the reference, by the name of the statistic."""
ML_DRIFT_NOISE_TEMPLATE: Final = "ml.drift.noise"
"""That distance when nothing has changed, by the name of the statistic."""

# Labels and quality
ML_PERFORMANCE_METRIC: Final = "ml.performance.metric"
"""Name of the score."""
ML_DATA_SLICE: Final = "ml.data.slice"
"""Part of the data that a score covers."""
ML_FEEDBACK_OUTCOME: Final = "ml.feedback.outcome"
"""What became of a label."""
MlFeedbackOutcome: TypeAlias = Literal["matched", "late", "unknown", "duplicate"]
ML_FEEDBACK_LABEL_COUNT: Final = "ml.feedback.label.count"
"""Labels that arrived in one call."""
ML_FEEDBACK_VALUE: Final = "ml.feedback.value"
"""The label itself, with capture on."""

# Training
ML_TRAINING_STAGE: Final = "ml.training.stage"
"""What the loop is doing."""
MlTrainingStage: TypeAlias = Literal["train", "validate", "test"]
ML_TRAINING_PHASE: Final = "ml.training.phase"
"""Part of a training step."""
MlTrainingPhase: TypeAlias = Literal["data_wait", "transfer", "forward", "backward", "optimizer", "other"]
ML_TRAINING_TIME_TEMPLATE: Final = "ml.training.time"
"""Time spent in a phase, under the phase's name, in seconds."""
ML_TRAINING_EPOCH_INDEX: Final = "ml.training.epoch.index"
"""Which epoch, counted from 0."""
ML_TRAINING_EPOCH_COUNT: Final = "ml.training.epoch.count"
"""Epochs that were run."""
ML_TRAINING_STEP_FIRST: Final = "ml.training.step.first"
"""First optimizer step of the span, counted from 0."""
ML_TRAINING_STEP_LAST: Final = "ml.training.step.last"
"""Last optimizer step of the span."""
ML_TRAINING_STEP_COUNT: Final = "ml.training.step.count"
"""Optimizer steps that were taken."""
ML_TRAINING_SAMPLE_COUNT: Final = "ml.training.sample.count"
"""Samples that were trained on."""
ML_TRAINING_LOSS: Final = "ml.training.loss"
"""Last finite loss."""
ML_TRAINING_VERDICT: Final = "ml.training.verdict"
"""What holds the loop back, in one word."""
ML_LOSS_NAME: Final = "ml.loss.name"
"""Which loss, where a loop has several."""
ML_OPTIMIZER_PARAM_GROUP: Final = "ml.optimizer.param_group"
"""Which parameter group of the optimizer."""
ML_DISTRIBUTED_RANK: Final = "ml.distributed.rank"
"""Rank of this process in a distributed run."""
ML_DISTRIBUTED_LOCAL_RANK: Final = "ml.distributed.local_rank"
"""Rank of this process on its host."""
ML_DISTRIBUTED_WORLD_SIZE: Final = "ml.distributed.world_size"
"""Processes in a distributed run."""

# Alerts and flags
ML_ALERT_NAME: Final = "ml.alert.name"
"""Name of the alert."""
ML_ALERT_SEVERITY: Final = "ml.alert.severity"
"""How urgent it is."""
MlAlertSeverity: TypeAlias = Literal["info", "warning", "critical"]
ML_ALERT_SIGNAL: Final = "ml.alert.signal"
"""Name of the metric that the rule watches."""
ML_ALERT_VALUE: Final = "ml.alert.value"
"""Value of the signal when the rule decided."""
ML_ALERT_THRESHOLD: Final = "ml.alert.threshold"
"""Value that the signal must not pass."""
ML_FLAG_TARGET: Final = "ml.flag.target"
"""Id of the prediction, artifact or run that was flagged."""
ML_FLAG_NOTE: Final = "ml.flag.note"
"""Why it was flagged, or why the flag was taken off."""
ML_FLAG_AUTHOR: Final = "ml.flag.author"
"""Who set or cleared the flag."""

# mlotel's own records
ML_TELEMETRY_SIGNAL: Final = "ml.telemetry.signal"
"""Which kind of record."""
MlTelemetrySignal: TypeAlias = Literal["traces", "metrics", "logs"]
ML_TELEMETRY_REASON: Final = "ml.telemetry.reason"
"""Why records are not where they should be."""
MlTelemetryReason: TypeAlias = Literal[
    "queue_full",
    "refused",
    "spool_full",
    "spool_unusable",
    "torn",
    "encode",
    "evicted",
    "cardinality",
]

# Names of OpenTelemetry that mlotel uses as they are
ERROR_TYPE: Final = "error.type"
"""Class of the error: the qualified name, bare for built-in ones."""
EXCEPTION_TYPE: Final = "exception.type"
"""Class of the exception."""
EXCEPTION_MESSAGE: Final = "exception.message"
"""What the exception said."""
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
"""Where the exception came from."""
CODE_FUNCTION_NAME: Final = "code.function.name"
"""Qualified name of the decorated function."""
SERVICE_NAME: Final = "service.name"
"""Name of the program or service."""
SERVICE_VERSION: Final = "service.version"
"""Version of the program or service."""
SERVICE_NAMESPACE: Final = "service.namespace"
"""What the service belongs to."""
SERVICE_INSTANCE_ID: Final = "service.instance.id"
"""Which process of the service."""
DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"
"""Where it is deployed."""
PROCESS_PID: Final = "process.pid"
"""Id of the process."""
PROCESS_PARENT_PID: Final = "process.parent_pid"
"""Id of the parent process."""
PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
"""Name of the program file."""
PROCESS_EXECUTABLE_PATH: Final = "process.executable.path"
"""Path of the program file."""
PROCESS_COMMAND: Final = "process.command"
"""Command that started the process."""
PROCESS_OWNER: Final = "process.owner"
"""User that owns the process."""
PROCESS_RUNTIME_NAME: Final = "process.runtime.name"
"""Name of the Python implementation."""
PROCESS_RUNTIME_VERSION: Final = "process.runtime.version"
"""Version of Python."""
PROCESS_RUNTIME_DESCRIPTION: Final = "process.runtime.description"
"""Full version text of Python."""
HOST_NAME: Final = "host.name"
"""Name of the host."""
HOST_ARCH: Final = "host.arch"
"""Processor architecture of the host."""
OS_TYPE: Final = "os.type"
"""Operating system."""
OS_VERSION: Final = "os.version"
"""Version of the operating system."""
VCS_REPOSITORY_URL_FULL: Final = "vcs.repository.url.full"
"""Where the repository is."""
VCS_REPOSITORY_NAME: Final = "vcs.repository.name"
"""Name of the repository."""
VCS_REF_HEAD_NAME: Final = "vcs.ref.head.name"
"""Branch or tag that is checked out."""
VCS_REF_HEAD_REVISION: Final = "vcs.ref.head.revision"
"""Commit that is checked out."""
CICD_PIPELINE_NAME: Final = "cicd.pipeline.name"
"""CI pipeline that runs the program, where there is one."""
CICD_PIPELINE_RUN_ID: Final = "cicd.pipeline.run.id"
"""Run of the CI pipeline."""
CICD_PIPELINE_RUN_URL_FULL: Final = "cicd.pipeline.run.url.full"
"""Page of that run."""
CICD_PIPELINE_TASK_NAME: Final = "cicd.pipeline.task.name"
"""Task in the CI pipeline."""
CICD_PIPELINE_TASK_RUN_ID: Final = "cicd.pipeline.task.run.id"
"""Run of that task."""
