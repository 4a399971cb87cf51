# Inputs and parameters of the rules in ../structures.smk.
from halo.files import listing_digest


def structure_files(wildcards):
    """Digest of names, sizes and modification times of the structure files.

    The job itself compares each protein's files, so that a newer time alone computes nothing.
    """
    paths = [Path(s["path"]) for s in config["structures"]["sources"] if s.get("path")]
    # Names of archives can have wildcards.
    matches = [sorted(path.parent.glob(path.name)) or [path] for path in paths]
    return listing_digest(path for some in matches for path in some)
