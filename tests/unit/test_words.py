"""Rejected words of the glossary are not used in code, names, messages, configuration and docs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("config", "docs", "profiles", "rules", "scripts", "slurm", "tests", "tools", "workflow")
FILES = ("CONTRIBUTING.md", "Makefile", "README.md", "Snakefile")
SUFFIXES = {".html", ".js", ".md", ".py", ".smk", ".yaml"}
# The glossary lists rejected words; the changelog tells of earlier versions.
EXEMPT = {"docs/reference/glossary.md", "tests/unit/test_words.py"}

# Rejected words, and the term of docs/reference/glossary.md that replaces them.
REJECTED = {
    r"mend(s|ed|ing)?": "fix",
    r"judg(e|es|ed|ing|e?ments?)": "model, ensemble, prediction or evaluate",
    r"opinions?": "prediction",
    r"(a|an|each|every|first|last|later|next|of|one|per|single|this|two) pass": "epoch",
    r"passes (over|through|in|without)": "epoch",
    r"half[ _-]precision": "mixed precision, or the name of the type",
    r"learnable": "trainable",
    r"hangs? (on|together)": "connected component, or depends on",
    r"(tell|tells|told|telling)( \w+){0,3} apart": "distinguish",
    r"units? of (its|their|the)( own)? spread": "standardize",
    r"spread(s)? (over|of)": "standard deviation",
    r"relatives?(?! (to|path|paths|deviation|deviations|difference|change|error|entropy))"
    r"(?<=relatives)|(a|its|their|no|of) relative(?= (in|of|is|has|protein))": "similar protein",
    r"nobody": "name the thing, as in: no protein",
    r"(deals?|dealt|dealing) (out|to|the groups)": "assign or distribute",
    r"landing": "staging",
    r"takes? (it|them) up": "resume",
    r"(starts?|begins?|makes?|made|begun) (it |them )?anew": "repeat, or from the beginning",
    r"whence|hither|thither|thereof|wherein": "plain English",
    r"(labels|proteins)_(corrected|broken)_by": "labels_corrected, labels_broken",
}
ALLOWED = {
    # Python's statement, and words of other programs and of quoted data.
    "spread over": ("spread over the nodes", "spread over nodes"),
}


def texts() -> list[tuple[str, str]]:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    paths = [path for path in paths if path.suffix in SUFFIXES] + [ROOT / name for name in FILES]
    names = {path.relative_to(ROOT).as_posix(): path for path in paths if path.is_file()}
    return [
        (name, path.read_text(encoding="utf-8"))
        for name, path in sorted(names.items())
        if name not in EXEMPT and "/." not in f"/{name}"
    ]


def rejected(name: str, text: str) -> list[str]:
    """Each rejected word of a text: file, line, word, and the term to use."""
    found = []
    for pattern, term in REJECTED.items():
        for match in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, re.IGNORECASE):
            around = text[max(match.start() - 40, 0) : match.end() + 40]
            if not any(each in around for each in ALLOWED.get(match[0].lower(), ())):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{name}:{line}: {match[0]!r}: {term}")
    return found


def test_only_words_of_the_glossary_are_used():
    faults = [fault for name, text in texts() for fault in rejected(name, text.replace("_", " "))]
    assert not faults, "words that docs/reference/glossary.md rejects:\n" + "\n".join(faults)
