"""blackbox_exporter's modules with Prometheus' targets: several files, or documents of one divided by ``---``."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import MAX_DOCUMENTS, Found, Reading, SourceError, read_each, refuse_beyond
from apps.checks.importers.blackbox_modules import module_settings
from apps.checks.importers.wish import Gathering, Wish, seconds, text_pairs
from apps.core.documents import CHARACTERS_PER_COST
from apps.core.kinds import Text

DIVIDER = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
USUAL_MODULE = "http_2xx"  # which the exporter takes where none is named, and which is a plain one in its own file
USUAL_RULES = ((["__address__"], "__param_target"), (["module"], "__param_module"))
DEFAULT_MODULE: Mapping[str, Any] = {"prober": "http"}
# Each target takes its whole module, however many do: a file of a few kB, read in hours. Fifty values for each of ten
# thousand targets.
MAX_TAKEN = 500_000
MAX_SHOWN = 60  # of a name of the file's in a line of the report, which each target has


class Blackbox:
    """Each target of a job that asks ``/probe`` becomes a check made of its module."""

    kind: ClassVar[str] = "blackbox"
    label: ClassVar[Text] = _("blackbox_exporter")
    help: ClassVar[Text] = _("blackbox.yml together with prometheus.yml, or with target files in YAML or JSON.")
    icon: ClassVar[str] = "flame"

    def sample(self) -> bytes:
        return (
            b"modules: {http_2xx: {prober: http, timeout: 5s}}\n---\n"
            b"- targets: [https://shop.example/]\n  labels: {env: prod}\n"
        )

    def read(self, *files: bytes) -> Found:
        sources = _Sources()
        for file, documents in read_each(files, _documents):
            for document in documents:
                sources.take(document, file)
                refuse_beyond(len(sources.targets))
        if not sources.targets:
            raise SourceError(_("There are no targets: add prometheus.yml or a target file, divided by a line “---”."))
        _refuse_costly(sources.targets, sources.modules)
        gathering = Gathering("blackbox")
        for job in sources.unread:
            gathering.lose(job, "", _("Only static targets are read; paste what its discovery finds as a target file."))
        for job in sources.rewritten:
            gathering.lose(job, "", _("Its relabel_configs are not applied: targets come as they are written."))
        for target in sources.targets:
            _gather(target, sources.modules, gathering)
        return gathering.found()


def _documents(raw: bytes, reading: Reading) -> list[Any]:
    return [_document(part, number, reading) for number, part in enumerate(DIVIDER.split(raw, maxsplit=MAX_DOCUMENTS))]


def _document(part: bytes, number: int, reading: Reading) -> Any:
    try:
        return reading.document(part)
    except SourceError as error:
        raise SourceError(f"[{number}] {error}") from error


@dataclass(frozen=True, slots=True)
class _Target:
    where: str
    address: str = ""
    module: str = ""
    hostname: str = ""
    job: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    interval: float | None = None
    is_rewritten: bool = False
    cost: int = 0  # of what its job and its labels say

    def module_among(self, modules: Collection[str]) -> str:
        """Return the name of its module, which of one alone need not be said."""
        return self.module or (next(iter(modules)) if len(modules) == 1 else USUAL_MODULE)


class _Sources:
    """What the documents bring: modules, targets, and jobs whose targets are found elsewhere."""

    def __init__(self) -> None:
        self.modules: dict[str, Mapping[str, Any]] = {}
        self.targets: list[_Target] = []
        self.unread: list[str] = []
        self.rewritten: list[str] = []

    def take(self, document: Any, file: str) -> None:
        """Add what a document brings; ``file`` is written before its places."""
        if isinstance(document, list):
            self.targets.extend(_targets(document, _Target(f"{file}targets")))
        if not isinstance(document, Mapping):
            return
        modules = document.get("modules")
        if isinstance(modules, Mapping):
            self.modules.update({name: module for name, module in modules.items() if isinstance(module, Mapping)})
        overall = document.get("global")
        interval = seconds(overall.get("scrape_interval", "1m")) if isinstance(overall, Mapping) else 60
        jobs = document.get("scrape_configs")
        for place, job in enumerate(jobs if isinstance(jobs, list) else ()):
            if isinstance(job, Mapping) and _is_probing(job):
                self._take_job(job, f"{file}scrape_configs[{place}]", interval)

    def _take_job(self, job: Mapping[str, Any], where: str, interval: float | None) -> None:
        base = _Target(
            where,
            module=_first_param(job, "module"),
            hostname=_first_param(job, "hostname"),
            job=str(job.get("job_name") or ""),
            interval=seconds(job.get("scrape_interval")) or interval,
            is_rewritten=_is_rewriting(job.get("relabel_configs")),
        )
        if base.is_rewritten:
            self.rewritten.append(where)
        static = job.get("static_configs")
        self.targets.extend(_targets(static if isinstance(static, list) else [], base))
        if any(part.endswith("_sd_configs") for part in job):
            self.unread.append(where)


def _is_probing(job: Mapping[str, Any]) -> bool:
    params = job.get("params")
    return job.get("metrics_path") == "/probe" or (isinstance(params, Mapping) and "module" in params)


def _is_rewriting(rules: Any) -> bool:
    """Tell whether a job makes other targets of those that are written, or asks for them otherwise."""
    return not all(map(_is_usual, rules)) if isinstance(rules, list) else bool(rules)


def _is_usual(rule: Any) -> bool:
    """Tell whether a rule is one of those that every such job has, or makes a label that only shows."""
    if not isinstance(rule, Mapping) or str(rule.get("action", "replace")) != "replace":
        return False
    source, target = rule.get("source_labels") or [], str(rule.get("target_label"))
    if not target.startswith("__") or target == "__address__":
        return True
    is_whole = str(rule.get("regex", "(.*)")) == "(.*)" and str(rule.get("replacement", "$1")) in ("$1", "${1}")
    return is_whole and (source, target) in USUAL_RULES


def _first_param(job: Mapping[str, Any], name: str) -> str:
    """Return what the exporter takes of a parameter that the job sends."""
    params = job.get("params")
    values = params.get(name) if isinstance(params, Mapping) else None
    return str(values[0]) if isinstance(values, list) and values else ""


def _targets(groups: list[Any], base: _Target) -> Iterator[_Target]:
    """Yield the targets of a list as Prometheus reads it; ``base`` has what their job says of all."""
    for place, group in enumerate(groups):
        if not isinstance(group, Mapping) or not isinstance(group.get("targets"), list):
            continue
        labels = text_pairs(group.get("labels"))
        module = labels.pop("__param_module", "") or labels.get("module", "") or base.module
        hostname = labels.pop("__param_hostname", "") or base.hostname
        shown = {name: text for name, text in labels.items() if not name.startswith("__") and name != "module"}
        taken = replace(base, module=module, hostname=hostname, labels=shown, cost=_cost([base.job, hostname, shown]))
        for number, address in enumerate(group["targets"]):
            yield replace(taken, where=f"{base.where}[{place}].targets[{number}]", address=str(address))


def _cost(value: Any) -> int:
    """Return how many values there are in a value; long texts count for several."""
    if isinstance(value, Mapping):
        return 1 + sum(_cost(name) + _cost(part) for name, part in value.items())
    if isinstance(value, list):
        return 1 + sum(map(_cost, value))
    return 1 + len(value) // CHARACTERS_PER_COST if isinstance(value, str) else 1


def _refuse_costly(targets: list[_Target], modules: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `SourceError` where the targets take more together than can be read at once."""
    costs = {name: _cost(module) for name, module in modules.items()}
    taken = 0
    for target in targets:
        taken += costs.get(target.module_among(modules), 1) + target.cost
        if taken > MAX_TAKEN:
            text = _(
                "%(where)s: up to here, the targets take more than %(count)s values of their modules, jobs and labels "
                "together; divide the targets, or shorten their modules."
            )
            raise SourceError(text % {"where": target.where, "count": MAX_TAKEN})


def _gather(target: _Target, modules: Mapping[str, Mapping[str, Any]], gathering: Gathering) -> None:
    name = target.labels.get("instance") or target.labels.get("name") or target.address
    module_name = target.module_among(modules)
    module = modules.get(module_name)
    is_known = module is not None or module_name == USUAL_MODULE
    if module is None:
        given = {"module": module_name[:MAX_SHOWN]}
        text = _("The module “%(module)s” is not given: a plain HTTP check is made.") % given
        gathering.lose(target.where, name, text)
        module = DEFAULT_MODULE
    made = module_settings(module, target.address, hostname=target.hostname)
    if made is None:
        prober = str(module.get("prober") or "")[:MAX_SHOWN]
        text = _("Nothing here is like the prober “%(prober)s”.") % {"prober": prober}
        gathering.lose(target.where, name, text, is_whole=True)
        return
    line = str(_("“%(option)s” of the module stays behind."))  # once: there may be thousands of options
    for option in (*made.beside, *made.lost):
        gathering.lose(target.where, name, line % {"option": option[:MAX_SHOWN]})
    labels = [f"{label}:{text}" for label, text in target.labels.items() if label not in ("instance", "name")]
    gathering.add(
        Wish(
            where=target.where,
            name=name,
            source_id=f"{target.job}-{target.address}",
            kind=made.kind,
            settings=made.settings,
            interval_seconds=target.interval,
            timeout_seconds=seconds(module.get("timeout")) or None,
            retries=0,
            tags=tuple(filter(None, [target.job, *labels])),
            is_maimed=bool(made.lost) or target.is_rewritten or not is_known,
            needs=frozenset(made.settings),
        )
    )
