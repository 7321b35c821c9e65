"""What is to be said of collection, biases, limits, use and persons: once, for the data card and for Croissant.

Every sentence that states a fact of a run comes from its records, as `pipeline.cards.facts.gather` returns them. The
keys are the properties of Croissant's vocabulary for responsible AI (RAI 1.0, http://mlcommons.org/croissant/RAI/1.0).
"""

from collections.abc import Mapping
from typing import Any

REAL_CHILDREN = {
    "exclude": "Photographs of real children were left out as far as the sources’ cards, the captions or a plug-in "
    "could tell. Some may remain.",
    "illustrated_only": "Photographs were left out as far as the sources’ cards, a plug-in or an estimate could tell. "
    "Some may remain.",
    "blur": "Faces that a plug-in found were blurred before anything was stored. Detectors miss faces; some may "
    "remain.",
    "allow": "Photographs of real children were not looked for.",
}
PERSONAL = {
    "redact": "A fixed word stands in the place of each. Names alone, and what has another form, were not looked for.",
    "drop": "Samples with any of it were left out. Names alone, and what has another form, were not looked for.",
    "flag": "It was left where it is.",
}
USES = ("Training and studying small vision-language models, with the stages in order or against the controls.",)
NO_USES = (
    "Not for describing real people, surveillance, or any decision about a person.",
    "The captions are too short and the pictures too few for a model that is to know the world at large.",
)
BIASES = ("The sources decide what is shown and in which style; what they leave out is missing here too.",)
LIMITATIONS = (
    "Difficulty is a declared composite of signals. It was not fitted to children’s data.",
    "Splits keep a work in one piece, and near-duplicates of a picture in one split as far as the rules found them.",
    "Near-duplicates that the rules did not find may remain.",
    "Nothing should be claimed for the order without its controls.",
)


def responsible(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties by name: texts, lists of texts where the vocabulary takes several, and one truth value."""
    return {
        "dataCollection": _collection(facts),
        "dataCollectionType": ["Secondary Data Analysis", "Software Collection"],
        "dataCollectionMissingData": _missing(facts),
        "dataCollectionRawData": "The pictures as they were acquired are not part of it; image_sha256 in a sample’s "
        "JSON and in ATTRIBUTION.csv names them.",
        "dataImputationProtocol": f"Signals behind the order: {facts['summary']['missing_rule']}.",
        "dataPreprocessingProtocol": _processing(facts),
        "dataAnnotationProtocol": ["Captions are those of the sources, in Unicode’s NFC form on one line."],
        "machineAnnotationTools": [f"{name} {version}" for name, version in facts["tools"].items()],
        "dataBiases": [*BIASES, *_shares(facts)],
        "dataLimitations": [*LIMITATIONS, *NO_USES],
        "dataUseCases": list(USES),
        "dataSocialImpact": "Small models that can be trained and examined on one machine, in languages with little "
        "data. A model learns what these pictures show of people and places, and what they leave out.",
        "hasSyntheticData": facts["config"].synthetic,
        "personalSensitiveInformation": personal_information(facts),
        "dataReleaseMaintenancePlan": maintenance(facts),
    }


def personal_information(facts: Mapping[str, Any]) -> list[str]:
    """Return what was done about personal data and real children, as sentences."""
    said = []
    if personal := facts["personal"]:
        found = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in personal["found"].items())
        said += [
            "Captions were searched for e-mail addresses, telephone, bank and identity numbers, street addresses, user "
            "names, and names of children that stand with an age in digits.",
            f"Found: {found or 'none'}.",
            PERSONAL[personal["policy"]],
        ]
    else:
        said.append("Captions are kept as their sources have them.")
    recorded = [source["name"] for source in facts["sources"] if source["engine"] == "frames"]
    if recorded:
        said.append(f"Recordings of persons, not made to be published: {', '.join(recorded)}.")
    else:
        said.append("The sources are published works; nothing was collected from persons.")
    if dropped := safety_drops(facts):
        reasons = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in dropped.items())
        said.append(f"Rules for safety left out: {reasons}.")
    said += [REAL_CHILDREN[facts["real_children"]]] if facts["real_children"] else []
    if facts["taken_down"]:
        number = f"{facts['taken_down']:,}"
        said.append(f"{number} rows were taken down on request. They stay out of every later run that knows of it.")
    for name, found in facts["exceptions"].items():
        said.append(f"{name} was fetched with exceptions: {'; '.join(found)}.")
    return said


def safety_drops(facts: Mapping[str, Any]) -> dict[str, int]:
    """Return what the rules for safety dropped, by reason."""
    return {
        reason: number
        for step in facts["funnel"]
        if step["step"] == "safety"
        for reason, number in step["dropped"].items()
        if number
    }


def maintenance(facts: Mapping[str, Any]) -> str:
    """Return how the data are kept up, and whom to ask."""
    whom = f"Ask {facts['config'].contact}. " if facts["config"].contact else ""
    return (
        f"{whom}The same inputs and configuration give the same bytes; a new release has another content digest. "
        "A sample is removed by its uid, URL or sha256 (essen takedown); it stays out of later runs and releases."
    )


def citation(facts: Mapping[str, Any]) -> str:
    """Return how to cite the data: in the words of who publishes, or as BibTeX made of name, credits and digest."""
    config = facts["config"]
    if config.citation:
        return str(config.citation)
    credits_given = "; ".join(dict.fromkeys(source["attribution"] for source in facts["sources"]))
    key = "".join(letter for letter in config.name.lower() if letter.isascii() and letter.isalnum()) or "pairs"
    title, author = (
        " ".join(text.translate(dict.fromkeys(map(ord, "{}\\"), " ")).split()) for text in (config.name, credits_given)
    )
    return (
        f"@misc{{{key},\n  title = {{{title}}},\n  author = {{{{{author}}}}},\n"
        f"  note = {{content digest {facts['manifest']['sha256']}}}\n}}"
    )


def _collection(facts: Mapping[str, Any]) -> str:
    parts = [
        f"{source['title']} ({source['samples']:,} pairs, {source['licence']}; {source['attribution']})"
        for source in facts["sources"]
    ]
    return f"{facts['samples']:,} pairs of a picture and a caption, taken from existing corpora: {'; '.join(parts)}."


def _missing(facts: Mapping[str, Any]) -> str:
    lost = [
        f"{step['step']}: {sum(step['dropped'].values()):,} of {step['in']:,}"
        for step in facts["funnel"]
        if step["step"].partition("-")[0] in ("acquire", "measure") and sum(step["dropped"].values())
    ]
    return f"Rows that could not be had or read: {', '.join(lost)}." if lost else "No row is known to be missing."


def _processing(facts: Mapping[str, Any]) -> list[str]:
    """Return a line for every step that took samples in, then what was made of those that stayed."""
    lines = []
    for step in facts["funnel"]:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in step["dropped"].items() if number)
        lines.append(
            f"{step['step']}: {step['in']:,} in, {step['kept']:,} kept" + (f", dropped {reasons}" * bool(reasons))
        )
    size, stages = facts["manifest"]["image"]["size"], facts["manifest"]["stages"]
    names = ", ".join(f"{entry['name']} ({entry['samples']:,})" for entry in stages)
    return [
        *lines,
        f"Pictures: JPEG of {size} × {size} pixels, whole pictures on white, no metadata.",
        f"Order: {len(stages)} stages from easy to hard: {names}; difficulty is made of "
        + ", ".join(f"{name} ({weight:.3g})" for name, weight in facts["summary"]["weights"].items())
        + ".",
    ]


def _shares(facts: Mapping[str, Any]) -> list[str]:
    """Return how unevenly the sources are represented."""
    if len(facts["sources"]) < 2:
        return []
    total = sum(source["samples"] for source in facts["sources"])
    parts = ", ".join(
        f"{source['name']} {source['samples'] / total:.0%}".replace("%", " %") for source in facts["sources"]
    )
    return [f"Share of the sources: {parts}."]
