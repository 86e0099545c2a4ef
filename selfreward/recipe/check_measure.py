"""What a recipe must not say about its cohorts and probes: settings that nothing would read, or that cannot work."""

from selfreward.recipe import PROBES, SERVED, MeasureRecipe, Recipe

COHORT_METRICS = "cohort_"


def measured_that_cannot_work(recipe: Recipe) -> list[tuple[bool, str]]:
    """(is wrong, what to say) of `measure.cohorts`, `measure.probes` and the gates that read them."""
    return [*_cohorts(recipe), *_probes(recipe.measure), *_gates(recipe)]


def _cohorts(recipe: Recipe) -> list[tuple[bool, str]]:
    measure, default = recipe.measure, MeasureRecipe()
    found = [
        (
            not measure.cohorts and getattr(measure, name) != getattr(default, name),
            f"key 'measure.{name}' is {getattr(measure, name)!r}, but there is no measure.cohorts that would read it",
        )
        for name in ("cohort_samples", "cohort_judge")
    ]
    judge, known = measure.cohort_judge, ", ".join(recipe.served) or "none"
    found.append(
        (
            judge.startswith(SERVED) and judge.removeprefix(SERVED) not in recipe.served,
            f"key 'measure.cohort_judge' is {judge!r}, which is not in the section 'served', which has: {known}",
        )
    )
    for name, cohort in measure.cohorts.items():
        key = f"key 'measure.cohorts.{name}'"
        found += [
            (not name.strip() or name == "all", f"{key}: expected a name other than 'all'"),
            (not cohort.source, f"{key} has no source; expected a prompt file, own:NAME or KIND:PATH"),
        ]
    return found


def _probes(measure: MeasureRecipe) -> list[tuple[bool, str]]:
    default, sandbox = MeasureRecipe(), measure.source == "sandbox"
    unknown = [name for name in measure.probes if name not in PROBES]
    elsewhere = [name for name in measure.probes if sandbox and name not in ("are_you_sure", "wrong_claim")]
    return [
        (bool(unknown), f"key 'measure.probes' names {unknown[:1]}; expected some of {', '.join(PROBES)}"),
        (len(set(measure.probes)) < len(measure.probes), "key 'measure.probes' names a probe twice"),
        (len(set(measure.probe_files)) < len(measure.probe_files), "key 'measure.probe_files' names a file twice"),
        (
            bool(elsewhere),
            f"key 'measure.probes' names {elsewhere[:1]}, which asks in English; the sandbox's own are are_you_sure "
            "and wrong_claim",
        ),
        (
            not sandbox and "wrong_claim" in measure.probes,
            "key 'measure.probes' names 'wrong_claim', which only the sandbox can grade; use wrong_belief",
        ),
        (
            bool(measure.probe_files) and (sandbox or not measure.probes),
            "key 'measure.probe_files' is not read: it needs measure.probes and prompts that are not the sandbox's",
        ),
        (
            not measure.probes and measure.probe_questions != default.probe_questions,
            "key 'measure.probe_questions' is not read without measure.probes",
        ),
    ]


def _gates(recipe: Recipe) -> list[tuple[bool, str]]:
    """Rules about a cohort that does not exist, or that is only reported."""
    found = []
    cohorts = recipe.measure.cohorts
    for number, rule in enumerate(recipe.gates.rules):
        if rule.metric.startswith(COHORT_METRICS):
            key = f"key 'gates.rules[{number}]' ({rule.metric})"
            known = ", ".join(cohorts) or "none"
            named = cohorts.get(rule.cohort)
            found += [
                (named is None, f"{key} reads cohort {rule.cohort!r}; measure.cohorts has: {known}"),
                (
                    named is not None and named.pool == "report",
                    f"{key} reads cohort {rule.cohort!r}, which is only reported; set measure.cohorts.{rule.cohort}"
                    ".pool to gate or both, so that gates may read it",
                ),
            ]
    return found
