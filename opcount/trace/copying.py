"""Copying a model's object graph, by kind and without recursion.

``copy.deepcopy`` would do most of it, but its recursion limits the depth of a model, lambdas and bound methods kept
as attributes would still call the original, and a lazy module's hook handle would unhook the original. Here modules,
containers and plain objects are copied; tensors are cloned; what leads back into the model (bound methods, partials,
closures, hook handles, weak references) is re-bound to the copy; and what is immutable or opaque is shared.
"""

from __future__ import annotations

import collections
import copy
import functools
import random
import types
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from opcount.trace.chains import Chained, Links
from opcount.trace.deferred import Deferred
from opcount.trace.layout import PLAINLY_SHARED, blank, joined, layout, module_maker, slots
from opcount.trace.sharing import SHARED, is_opaque
from opcount.trace.sight import Observing
from opcount.trace.standins import StandIns, stand_in
from opcount.trace.vacancy import Shared, Vacant
from opcount.trace.wrapping import Scripted, gathered, is_distributed, is_none_of_its, unwrapped

_TABLES = frozenset({dict, collections.OrderedDict, set, list})

_OF_A_CLONE = (Deferred, Shared)
"""What an outer count has put in the place of a module's tables, for itself."""


class Copier:
    """One copy operation.

    Args:
        shapes_only: tensors become stand-ins on the meta device instead of being cloned.
        fake: makes what takes a tensor's place, instead of a clone of it.
        vacant: the tables that modules without hooks share; without it each has its own.
        chained: says of a module whether its children need not be copied until somebody looks at them, and what there
            is to know of them meanwhile; shapes only.

    Attributes:
        memo: the copy of every original met, by its id, as ``copy.deepcopy`` keeps it.
        modules: every copied module by the attribute path it was first met under.
        chains: the tables of children that are not copied yet.
        ordinary: whether shapes were copied and nothing is wrapped, scripted, shared out or sparse.
    """

    def __init__(
        self,
        *,
        shapes_only: bool = False,
        fake: Callable[[torch.Tensor], torch.Tensor] | None = None,
        vacant: Vacant | None = None,
        chained: Chained | None = None,
    ) -> None:
        self.shapes_only = shapes_only
        self.fake = fake
        self.vacant = vacant
        self.chained = chained
        self.chains: list[Links] = []
        self.ordinary = shapes_only
        self.memo: dict[int, Any] = {}
        self.modules: dict[str, nn.Module] = {}
        self._originals: list[Any] = []  # kept alive, so that no id is used twice
        self._unfilled: list[Any] = []  # modules with their copies and paths; of all else, what fills it

    def run(self, root: Any) -> Any:
        """The copy of ``root`` and of everything it reaches."""
        copied = self.copy(root, "")
        self._fill_all()
        self._copy_shared()
        return copied

    def _fill_all(self) -> None:
        while self._unfilled:
            unfilled = self._unfilled.pop()
            if type(unfilled) is tuple:
                self._fill_module(*unfilled)
            else:
                unfilled()

    def _copy_shared(self) -> None:
        """Copy the children of chains that are held in other places as well: under all their paths they are one."""
        children = [id(child) for chain in self.chains for child in chain.originals]
        if len(set(children)) == len(children) and self.memo.keys().isdisjoint(children):
            return
        times = collections.Counter(children)
        for chain in self.chains:
            if any(times[id(child)] > 1 or id(child) in self.memo for child in chain.originals):
                chain.copy()

    def copy(self, value: Any, path: str) -> Any:
        """The counterpart of ``value``: itself if it is shared, else a copy whose contents may come later."""
        start = _STARTS.get(type(value)) or self._start(type(value))
        if start is Copier._share:
            return value
        copied = self.memo.get(id(value))
        if copied is None:
            copied = self.memo[id(value)] = start(self, value, path)
            self._originals.append(value)
        return copied

    def _start(self, kind: type) -> Callable[..., Any]:
        """How to copy values of a type, found once for each type. A proxy's type is not what it stands for."""
        starts = ((SHARED, Copier._share), *self._KINDS)
        found = next((start for kinds, start in starts if issubclass(kind, kinds)), Copier._object)
        _STARTS[kind] = found
        return found

    def _share(self, value: Any, path: str) -> Any:
        return value

    # Each kind: make the copy now, so that cycles find it; fill it later, so that depth costs no recursion.

    def _tensor(self, tensor: torch.Tensor, path: str) -> torch.Tensor:
        if self.shapes_only:
            return self._stand_in(tensor)
        if self.fake is not None:
            return self.fake(tensor)
        if is_distributed(tensor):
            data = gathered(tensor).detach().clone()
            return nn.Parameter(data, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else data
        if is_lazy(tensor):
            kind: Any = type(tensor)
            blank: torch.Tensor = kind(requires_grad=tensor.requires_grad, device=tensor.device, dtype=tensor.dtype)
            return blank
        data = tensor.detach().clone()
        if not isinstance(tensor, nn.Parameter):
            return data.requires_grad_(tensor.requires_grad)
        parameter = nn.Parameter(data, requires_grad=tensor.requires_grad)
        if type(tensor) is not nn.Parameter and type(parameter) is nn.Parameter:
            parameter.__class__ = type(tensor)
        self._unfilled.append(lambda: self._fill(tensor, parameter, path))
        return parameter

    def _module(self, module: nn.Module, path: str) -> nn.Module:
        kind: Any = type(module)
        make = module_maker(kind)
        if make is None:
            self.ordinary = False
            if isinstance(module, torch.jit.ScriptModule):
                return Scripted(copy.deepcopy(module))
            return self.copy(unwrapped(module), path)  # type: ignore[no-any-return]
        new: nn.Module = make()
        if type(new) is not kind:
            self.ordinary = False
        self.modules.setdefault(path, new)
        self._unfilled.append((module, new, path))
        return new

    def _fill_module(self, module: nn.Module, new: nn.Module, path: str) -> None:
        """As :meth:`_fill`, for the many attributes a module has of which few need copying."""
        own = module.__dict__
        if "forward" in own and isinstance(own["forward"], Observing):  # put there by an outer count, for itself
            own = {name: value for name, value in own.items() if name != "forward"}
        attributes = own.copy()
        names = layout(own)
        contents = names.contents(own)
        if names.usual_tables and contents.usual and self.vacant is not None and not any(names.tables(own)):
            attributes.update(self.vacant.tables)  # most of them are empty in most modules
            self._fill_usual(module, attributes, path)
            left = contents.beside
        else:
            own = {name: value.copy() if isinstance(value, _OF_A_CLONE) else value for name, value in own.items()}
            self._originals.append(own)
            attributes.update((name, self._hooks(name, own[name], path)) for name in names.table_names)
            left = contents.others
        for name in left if contents.are_shared(own) else (*contents.tuples, *left):
            value = own[name]
            kind = type(value)
            if kind in _TABLES and not value:
                attributes[name] = self.memo[id(value)] = kind()
            elif name == "_modules":
                attributes[name] = self._children(value, path)
            elif name in ("_parameters", "_buffers") and self.shapes_only:
                attributes[name] = self._tensors(name, own)
            elif kind is list and PLAINLY_SHARED.issuperset(map(type, value)):
                attributes[name] = self.memo[id(value)] = value.copy()
            elif name != "meta" or not isinstance(module, torch.fx.GraphModule):
                attributes[name] = self.copy(value, joined(path, name))
        if "_compiled_call_impl" in attributes:
            attributes["_compiled_call_impl"] = None  # compiled for the original, and bound to it
        object.__setattr__(new, "__dict__", attributes)
        own_kind: Any = type(module)
        if slots(own_kind):
            self._fill_slots(module, new, path)

    def _fill_usual(self, module: nn.Module, attributes: dict[str, Any], path: str) -> None:
        """Give a copy what its module holds: stand-ins, and children unless it is a chain, where they come later."""
        own = module.__dict__
        if own["_parameters"]:
            attributes["_parameters"] = self._tensors("_parameters", own)
        if own["_buffers"]:
            attributes["_buffers"] = self._tensors("_buffers", own)
        children = own["_modules"]
        if children:
            links = None if self.chained is None else self.chained(module)
            if links is None:
                attributes["_modules"] = self._children(children, path)
                return
            attributes["_modules"] = self.memo[id(children)] = chain = Links(children, self._link, links, path)
            self.chains.append(chain)

    def _children(self, children: dict[str, Any], path: str) -> dict[str, Any]:
        """The copy of the table of children of the module at a path, and the copies of these."""
        self.memo[id(children)] = table = type(children)()
        prefix = joined(path, "")
        for name, child in children.items():
            table[name] = self.copy(child, prefix + name)
        return table

    def _tensors(self, name: str, own: dict[str, Any]) -> StandIns:
        """The stand-ins for a module's parameters or buffers."""
        table = self.memo[id(own[name])] = StandIns(own[name], self._stand_in)
        if not table.plain and name == "_parameters":
            self.ordinary = False
        return table

    def _hooks(self, name: str, table: Any, path: str) -> Any:
        """The copy of a table of hooks, without those that are no part of the model's forward."""
        if table and name in _CALLED_HOOKS and any(map(is_none_of_its, table.values())):
            kept = collections.OrderedDict((key, each) for key, each in table.items() if not is_none_of_its(each))
            self.memo[id(table)] = copied = self.copy(kept, joined(path, name))
            return copied
        return type(table)() if not table and type(table) in _TABLES else self.copy(table, joined(path, name))

    def _link(self, module: nn.Module, path: str) -> nn.Module:
        with torch._C.DisableTorchFunction():
            copied: nn.Module = self.copy(module, path)
            self._fill_all()
        return copied

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor | None = self.memo.get(id(tensor))
        if found is None:
            with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                found = self.memo[id(tensor)] = stand_in(tensor, described=True)
            self._originals.append(tensor)
        return found

    def _dict(self, value: dict[Any, Any], path: str) -> dict[Any, Any]:
        new: Any = blank(value)
        kind: Any = collections.OrderedDict if isinstance(value, collections.OrderedDict) else dict

        def fill() -> None:
            if isinstance(value, collections.defaultdict):
                new.default_factory = self.copy(value.default_factory, path)
            for key, item in value.items():
                kind.__setitem__(new, self.copy(key, path), self.copy(item, joined(path, str(key))))
            self._fill(value, new, path)

        self._unfilled.append(fill)
        return new  # type: ignore[no-any-return]

    def _list(self, value: list[Any], path: str) -> list[Any]:
        new: list[Any] = blank(value)

        def fill() -> None:
            list.extend(new, (self.copy(item, joined(path, str(index))) for index, item in enumerate(value)))
            self._fill(value, new, path)

        self._unfilled.append(fill)
        return new

    def _deque(self, value: collections.deque[Any], path: str) -> collections.deque[Any]:
        new: collections.deque[Any] = collections.deque(maxlen=value.maxlen)
        self._unfilled.append(lambda: new.extend(self.copy(item, path) for item in value))
        return new

    def _set(self, value: set[Any], path: str) -> set[Any]:
        new: set[Any] = set()
        self._unfilled.append(lambda: new.update(self.copy(item, path) for item in value))
        return new

    def _tuple(self, value: tuple[Any, ...], path: str) -> tuple[Any, ...]:
        items = [self.copy(item, joined(path, str(index))) for index, item in enumerate(value)]
        if all(new is old for new, old in zip(items, value)):
            return value
        return tuple.__new__(type(value), items)

    def _method(self, value: types.MethodType, path: str) -> types.MethodType:
        return types.MethodType(value.__func__, self.copy(value.__self__, path))

    def _partial(self, value: functools.partial[Any], path: str) -> functools.partial[Any]:
        keywords = {name: self.copy(argument, joined(path, name)) for name, argument in value.keywords.items()}
        return functools.partial(self.copy(value.func, path), *self.copy(value.args, path), **keywords)

    def _function(self, value: types.FunctionType, path: str) -> types.FunctionType:
        """A closure may hold the model in its cells or defaults; the copy's closure has to hold the copy."""
        if value.__closure__ is None and not value.__defaults__:
            return value
        cells = tuple(self.copy(cell, path) for cell in value.__closure__ or ()) or None
        new = types.FunctionType(value.__code__, value.__globals__, value.__name__, closure=cells)
        new.__kwdefaults__ = value.__kwdefaults__

        def fill() -> None:
            new.__defaults__ = self.copy(value.__defaults__, path)
            self._fill(value, new, path)

        self._unfilled.append(fill)
        return new

    def _cell(self, value: types.CellType, path: str) -> types.CellType:
        new = types.CellType()

        def fill() -> None:
            try:
                contents = value.cell_contents
            except ValueError:  # never filled, as in a function that was left before it assigned the name
                return
            new.cell_contents = self.copy(contents, path)

        self._unfilled.append(fill)
        return new

    def _weak_reference(self, value: weakref.ref[Any], path: str) -> weakref.ref[Any]:
        referent = value()
        if not isinstance(referent, (nn.Module, torch.Tensor)):
            return value
        return weakref.ref(self.copy(referent, path))

    def _weak_proxy(self, value: Any, path: str) -> Any:
        try:
            referent = value.__init__.__self__  # a bound method knows what stands behind the proxy
        except (ReferenceError, AttributeError):
            return value
        return weakref.proxy(self.copy(referent, path)) if isinstance(referent, nn.Module) else value

    def _handle(self, value: RemovableHandle, path: str) -> RemovableHandle:
        """A lazy module removes its own hook through its handle: from the copy's table, not from the original's."""
        table = value.hooks_dict_ref()
        new: RemovableHandle = RemovableHandle(collections.OrderedDict() if table is None else self.copy(table, path))
        new.id = value.id
        extras = [extra() for extra in value.extra_dict_ref]
        new.extra_dict_ref = tuple(weakref.ref(self.copy(extra, path)) for extra in extras if extra is not None)
        return new

    def _generator(self, value: torch.Generator, path: str) -> torch.Generator:
        return value.clone_state()

    def _object(self, value: Any, path: str) -> Any:
        kind: Any = type(value)
        if kind.__module__.startswith("numpy") or isinstance(value, random.Random):
            return copy.deepcopy(value)
        if is_opaque(value):
            return value
        if hasattr(kind, "__deepcopy__"):
            return copy.deepcopy(value, self.memo)
        if not hasattr(value, "__dict__") and not slots(kind):
            return value
        try:
            new = blank(value)
        except TypeError:  # laid out by an extension that makes its own objects: opaque
            return value
        self._unfilled.append(lambda: self._fill(value, new, path))
        return new

    def _fill(self, value: Any, new: Any, path: str) -> None:
        """Attributes in ``__dict__`` and in slots, past any ``__setattr__``."""
        for name, attribute in getattr(value, "__dict__", {}).items():
            new.__dict__[name] = self.copy(attribute, joined(path, name))
        self._fill_slots(value, new, path)

    def _fill_slots(self, value: Any, new: Any, path: str) -> None:
        kind: Any = type(value)
        for name in slots(kind):
            if hasattr(value, name):
                object.__setattr__(new, name, self.copy(getattr(value, name), joined(path, name)))

    _KINDS: tuple[tuple[Any, Callable[..., Any]], ...] = (
        (weakref.ProxyTypes, _weak_proxy),
        (torch.Tensor, _tensor),
        (nn.Module, _module),
        (dict, _dict),
        (list, _list),
        (tuple, _tuple),
        (set, _set),
        (collections.deque, _deque),
        (types.MethodType, _method),
        (types.FunctionType, _function),
        (types.CellType, _cell),
        (functools.partial, _partial),
        (weakref.ref, _weak_reference),
        (RemovableHandle, _handle),
        (torch.Generator, _generator),
    )


_STARTS: dict[type, Callable[..., Any]] = {}

_CALLED_HOOKS = frozenset({"_forward_pre_hooks", "_forward_hooks"})
