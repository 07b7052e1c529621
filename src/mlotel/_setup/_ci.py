"""Facts about the pipeline of a continuous-integration service, from the variables that it sets."""

from collections.abc import Mapping
from typing import NamedTuple

from mlotel.export._explain import bare
from mlotel.semconv import attributes as names


class _Service(NamedTuple):
    """Which variables of a service say what; ``url`` is a template over variables."""

    sign: str
    pipeline: str
    run: str
    url: str = ""
    branch: str = ""
    revision: str = ""


_SERVICES = (
    _Service(
        "GITHUB_ACTIONS",
        "GITHUB_WORKFLOW",
        "GITHUB_RUN_ID",
        "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
        "GITHUB_REF_NAME",
        "GITHUB_SHA",
    ),
    _Service(
        "GITLAB_CI", "CI_PIPELINE_NAME", "CI_PIPELINE_ID", "{CI_PIPELINE_URL}", "CI_COMMIT_REF_NAME", "CI_COMMIT_SHA"
    ),
    _Service("JENKINS_URL", "JOB_NAME", "BUILD_NUMBER", "{BUILD_URL}", "GIT_BRANCH", "GIT_COMMIT"),
    _Service(
        "BUILDKITE",
        "BUILDKITE_PIPELINE_SLUG",
        "BUILDKITE_BUILD_ID",
        "{BUILDKITE_BUILD_URL}",
        "BUILDKITE_BRANCH",
        "BUILDKITE_COMMIT",
    ),
    _Service("CIRCLECI", "CIRCLE_JOB", "CIRCLE_WORKFLOW_ID", "{CIRCLE_BUILD_URL}", "CIRCLE_BRANCH", "CIRCLE_SHA1"),
    _Service("TF_BUILD", "BUILD_DEFINITIONNAME", "BUILD_BUILDID", "", "BUILD_SOURCEBRANCHNAME", "BUILD_SOURCEVERSION"),
)


def ci_facts(environ: Mapping[str, str]) -> dict[str, str]:
    """Name, run and page of the pipeline that runs the program, and the revision it was started for.

    Example:
        >>> ci_facts({"GITLAB_CI": "true", "CI_PIPELINE_ID": "17"})
        {'cicd.pipeline.run.id': '17'}
        >>> ci_facts({})
        {}
    """
    service = next(
        (service for service in _SERVICES if environ.get(service.sign, "").lower() not in ("", "false")), None
    )
    if service is None:
        return {}
    try:
        url = bare(service.url.format_map(environ))
    except KeyError:
        url = ""
    found = {
        names.CICD_PIPELINE_NAME: environ.get(service.pipeline, ""),
        names.CICD_PIPELINE_RUN_ID: environ.get(service.run, ""),
        names.CICD_PIPELINE_RUN_URL_FULL: url,
        names.VCS_REF_HEAD_NAME: environ.get(service.branch, ""),
        names.VCS_REF_HEAD_REVISION: environ.get(service.revision, ""),
    }
    return {name: value for name, value in found.items() if value}
