"""Which cells must run a second time to see that they would give the same again: the others are known to.

`states` and `shake` work in the kernel of a chapter, `Doubts` beside it. A cell gives the same again if all that it
found is as it was, save what it sets before reading it, and if it gave its numbers from random generators in a state
that nobody chose.
"""
import dis
import random
import sys
import types
import zlib

PLAIN = (int, float, complex, str, bytes, type(None), range, slice)
FIXED = (types.BuiltinFunctionType, types.ModuleType, type)


def state(value):
    """What equals itself as long as this value is as it was. ValueError: none is known for a value of its kind."""
    kind = type(value).__module__.partition(".")[0]
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, FIXED) or hasattr(value, "cache_info"):
        return id(value)
    if isinstance(value, types.MethodType):
        return state(value.__func__), state(value.__self__)
    if isinstance(value, types.FunctionType):
        enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
        return id(value), state([vars(value), value.__defaults__, value.__kwdefaults__, enclosed])
    if isinstance(value, (list, tuple)):
        return [state(one) for one in value]
    if isinstance(value, dict):
        return [(state(key), state(one)) for key, one in value.items()]
    if hasattr(value, "state_dict") and hasattr(value, "training"):  # a network
        return id(value), value.training, state(value.state_dict()), state([one.grad for one in value.parameters()])
    if hasattr(value, "get_state"):  # a random generator of torch
        return state(value.get_state())
    if hasattr(value, "bit_generator"):
        return state(value.bit_generator.state)
    if kind == "torch" and hasattr(value, "_version"):
        if value.layout != sys.modules["torch"].strided or value.numel() > 1e6:
            return id(value), value._version
        return (zlib.crc32(value.detach().resolve_conj().contiguous().numpy()), value.requires_grad,
                state(value.grad) if value.is_leaf else None)
    if kind == "torch" and not hasattr(value, "__dict__"):  # a dtype, a size, a device
        return repr(value)
    if kind == "numpy" and hasattr(value, "tobytes"):
        return zlib.crc32(value.tobytes())
    if kind == "course":  # an operator: what it has computed it keeps, and computes no other way
        return id(value)
    if kind == "__main__":
        return id(type(value)), state(vars(value))
    raise ValueError(kind)


def states(space):
    """{name: state} of what a kernel holds; None where no state is known."""
    def known(value):
        try:
            return zlib.crc32(repr(state(value)).encode())
        except (ValueError, TypeError, RecursionError):
            return None

    return {name: known(value) for name, value in list(space.items())
            if name[0] != "_" and name not in ("In", "Out", "exit", "quit", "open", "get_ipython")}


def shake(cell):
    """Put the random generators that all share into a state that no chapter chose, another one for each cell."""
    random.seed(seed := 271_828_182 + cell)
    for name, seeded in {"numpy": lambda m: m.random.seed(seed), "torch": lambda m: m.manual_seed(seed)}.items():
        if name in sys.modules:
            seeded(sys.modules[name])


class Doubts:
    """What could make a cell give something else when it runs again, cell by cell of one chapter."""

    def __init__(self):
        self.inner = set()  # names that functions read, whichever cell calls them

    def __call__(self, source, before, after):
        """Names that may be other ones for this cell's second run, by the states before and after its first."""
        code, first = compile(source, "cell", "exec"), {}
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_NAME", "STORE_NAME", "DELETE_NAME"):
                first.setdefault(step.argval, step.opname)
        nested = set().union(*map(names, inside(code)))
        self.inner |= nested
        loaded, stored = ({name for name, step in first.items() if step == by} for by in ("LOAD_NAME", "STORE_NAME"))
        changed = {name for name, was in before.items() if after.get(name) != was}
        changed = (changed - stored) | (changed & self.inner) | (loaded & (after.keys() - before.keys()))
        unknown = {name for name, was in before.items() if was is None} | {"globals", "locals", "vars"}
        return sorted(changed | unknown & (loaded | nested))


def inside(code):
    """The functions that are written in this code."""
    return [one for one in code.co_consts if isinstance(one, types.CodeType)]


def names(code):
    """All names that this code and the functions in it take from outside, and those of attributes."""
    return set(code.co_names).union(*map(names, inside(code)))
