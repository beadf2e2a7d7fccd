"""Damaged chapters are seen: a sample of what tests/mutants.py draws and of what is picked by hand there."""
import pytest

import mutants

# Each runs a chapter up to the first difference.
CODE = mutants.picked()[:4] + mutants.draw(1, seed=0, share=1, chapters=["unet"])


def test_damaged_outputs_are_seen():
    drawn = mutants.draw(150, seed=0, share=0)
    assert {m.kind for m in drawn} == {damage.__name__ for damage in mutants.OUTPUTS}
    assert [str(m) for m in drawn if not mutants.seen(m)] == []


@pytest.mark.parametrize("mutant", CODE, ids=lambda m: f"{m.chapter}-{m.number}-{m.kind}")
def test_damaged_code_is_seen(mutant, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert mutants.seen(mutant), str(mutant)
