"""Checks Kubernetes manifests against the Kubernetes schemas and against the rules of this house.

    validate_manifests.py ENV_EXAMPLE FILE...     `-` for FILE reads standard input

Prints one problem per line, each with its file and object, and ends with 1 when there is any.
"""

import re
import sys

import kubernetes_validate
import yaml

SCHEMA = "1.34"
PLACEHOLDER = re.compile(r"replace-me|^mongodb://[^:@/]+:\d+/\w+$")


def schema_problems(document):
    try:
        kubernetes_validate.validate(document, SCHEMA, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = "/".join(str(step) for step in error.path)
        return [f"schema: {error.message} at {place or 'the top'}"]
    except kubernetes_validate.SchemaNotFoundError:
        return [f"schema: no {document.get('apiVersion')} {document.get('kind')} in Kubernetes {SCHEMA}"]
    return []


def container_problems(container, hardened_by_pod):
    name, context = container.get("name"), container.get("securityContext") or {}
    checks = {
        "readOnlyRootFilesystem is not true": context.get("readOnlyRootFilesystem") is True,
        "allowPrivilegeEscalation is not false": context.get("allowPrivilegeEscalation") is False,
        "capabilities are not dropped": "ALL" in (context.get("capabilities") or {}).get("drop", []),
        "may run as root": hardened_by_pod or context.get("runAsNonRoot") is True,
        "no memory limit": "memory" in (container.get("resources") or {}).get("limits", {}),
        "no resource requests": {"cpu", "memory"} <= set((container.get("resources") or {}).get("requests", {})),
        "image is not pinned to a version": re.search(r"(:(?!latest$)[\w.-]+|@sha256:\w+)$", container.get("image", "")),
    }
    return [f"container {name}: {problem}" for problem, holds in checks.items() if not holds]


def deployment_problems(document):
    spec = document["spec"]["template"].get("spec", {})
    labels = document["spec"]["template"].get("metadata", {}).get("labels", {})
    non_root = (spec.get("securityContext") or {}).get("runAsNonRoot") is True
    problems = [] if labels.get("app") == "etl" else ["pods lack the label app: etl"]
    if spec.get("terminationGracePeriodSeconds", 0) <= 10:
        problems.append("terminationGracePeriodSeconds is not above the daemon's own 10 s")
    if not any(c.get("args") == ["migrate", "up"] for c in spec.get("initContainers") or []):
        problems.append("no initContainer runs: tallyman migrate up")
    for container in (spec.get("initContainers") or []) + (spec.get("containers") or []):
        problems += container_problems(container, non_root)
    for container in spec.get("containers") or []:
        for probe, path in (("livenessProbe", "/api/etl/live"), ("readinessProbe", "/api/etl/ready")):
            found = ((container.get(probe) or {}).get("httpGet") or {}).get("path")
            if found != path:
                problems.append(f"container {container.get('name')}: {probe} asks {found}, not {path}")
    return problems


def job_problems(document):
    """An Indexed Job of shards: every pod asks for its own shard of as many as there are completions."""
    job = document["spec"]
    spec = job["template"]["spec"]
    labels = job["template"].get("metadata", {}).get("labels", {})
    problems = ["pods carry app: etl, so the Service would send them requests"] if labels.get("app") == "etl" else []
    non_root = (spec.get("securityContext") or {}).get("runAsNonRoot") is True
    if job.get("completionMode") != "Indexed" or "backoffLimitPerIndex" not in job:
        problems.append("shards need completionMode Indexed and backoffLimitPerIndex")
    if spec.get("restartPolicy") != "Never":
        problems.append("restartPolicy is not Never, which a podFailurePolicy needs")
    if spec.get("terminationGracePeriodSeconds", 0) <= 10:
        problems.append("terminationGracePeriodSeconds is not above the daemon's own 10 s")
    rules = (job.get("podFailurePolicy") or {}).get("rules", [])
    if not any(rule["action"] == "Ignore" and "onPodConditions" in rule for rule in rules):
        problems.append("a pod that was disrupted counts as failed")
    actions = {code: rule["action"] for rule in rules for code in (rule.get("onExitCodes") or {}).get("values", [])}
    for code, action in ((2, "FailJob"), (3, "FailIndex"), (75, "Ignore")):
        if actions.get(code) != action:
            problems.append(f"exit code {code} is not met with {action}")
    for container in spec["containers"]:
        problems += container_problems(container, non_root)
        args = " ".join(container.get("args") or [])
        shard = f"--shard $(JOB_COMPLETION_INDEX)/{job.get('completions')}"
        if shard not in args or "--run $(JOB_UID)" not in args:
            problems.append(f"container {container.get('name')} does not run: sync {shard} --run $(JOB_UID)")
        named = {one["name"]: one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") for one in container.get("env") or []}
        if named.get("JOB_UID") != "metadata.labels['batch.kubernetes.io/controller-uid']":
            problems.append(f"container {container.get('name')}: JOB_UID is not the Job's own")
    return problems


def mount_problems(document, folders):
    """A container that is told of a folder of settings has to have it: `folders` by the ConfigMap that tells."""
    spec = document["spec"]["template"]["spec"]
    problems = []
    for container in (spec.get("initContainers") or []) + spec["containers"]:
        mounted = {one["mountPath"] for one in container.get("volumeMounts") or []}
        for source in container.get("envFrom") or []:
            folder = folders.get((source.get("configMapRef") or {}).get("name"))
            if folder and folder not in mounted:
                problems.append(f"container {container['name']}: CONFIG_DIR {folder} is not mounted")
    return problems


def settings_problems(document, known):
    values = {**(document.get("data") or {}), **(document.get("stringData") or {})}
    problems = [f"{name} is not in .env.example" for name in values if name not in known]
    if document["kind"] == "Secret":
        problems += [f"{name} looks like a real secret" for name, value in values.items() if not PLACEHOLDER.search(value)]
    return problems


def house_problems(document, known):
    problems = []
    if document.get("kind") == "Job":
        problems += job_problems(document)
    if (document.get("metadata") or {}).get("labels", {}).get("app") != "etl":
        problems.append("the label app: etl is missing")
    if document.get("kind") == "Deployment":
        problems += deployment_problems(document)
    if document.get("kind") in ("ConfigMap", "Secret"):
        problems += settings_problems(document, known)
    if document.get("kind") == "Service" and document["spec"].get("selector") != {"app": "etl"}:
        problems.append("the Service does not select app: etl")
    return problems


def main(env_example, files):
    with open(env_example, encoding="utf-8") as lines:
        known = set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", lines.read(), re.MULTILINE))
    problems, documents = [], []
    for file in files:
        with (sys.stdin if file == "-" else open(file, encoding="utf-8")) as text:
            documents += [(file, document) for document in yaml.safe_load_all(text)]
    kinds = {document.get("kind") for _, document in documents}
    folders = {document["metadata"]["name"]: (document.get("data") or {}).get("CONFIG_DIR")
               for _, document in documents if document.get("kind") == "ConfigMap"}
    for file, document in documents:
        label = f"{file}: {document.get('kind')} {(document.get('metadata') or {}).get('name')}"
        # A document the schema refuses may lack what the other rules look into.
        found = schema_problems(document) or house_problems(document, known)
        if not found and document.get("kind") in ("Deployment", "Job"):
            found = mount_problems(document, folders)
        problems += [f"{label}: {problem}" for problem in found]
    for kind in ("ConfigMap", "Deployment", "Secret", "Service"):
        if kind not in kinds:
            problems.append(f"no {kind} among {', '.join(files)}")
    print("\n".join(problems) if problems else f"{len(kinds)} kinds are valid for Kubernetes {SCHEMA}")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
