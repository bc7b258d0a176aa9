"""finalize and Finalizable against a model: random lives of objects and what waits for them."""

import gc

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st


class Object:
    """May hold itself, and so wait for the collector."""


class Model:
    """One clean-up as it should be."""

    def __init__(self, owner, call=None):
        self.owner = owner
        self.call = call  # args, kwargs
        self.alive = True
        self.flags = {"atexit": True, "inherit": False}


class Machine(stateful.RuleBasedStateMachine):
    impl = None  # set by the test

    objects = stateful.Bundle("objects")
    cleanups = stateful.Bundle("cleanups")

    def __init__(self):
        super().__init__()
        machine = self

        class Own(machine.impl.Finalizable):
            def __finalize__(self):
                machine.log.append(self.name)
                return self.name

        class Sub(machine.impl.finalize):
            def __call__(self, _=None):
                return super().__call__()

        self.own, self.kinds = Own, [machine.impl.finalize, Sub]
        self.log, self.expected = [], []
        self.living, self.names = {}, 0
        self.real, self.models = {}, {}

    def name(self):
        self.names += 1
        return self.names

    @stateful.rule(target=objects, cyclic=st.booleans(), own=st.booleans())
    def make_object(self, cyclic, own):
        obj = self.own() if own else Object()
        name = self.name()
        if cyclic:
            obj.me = obj
        self.living[name] = obj
        if own:
            obj.name = -name
            self.models[-name] = Model(name)
        return name

    @stateful.rule(
        target=cleanups,
        owner=objects,
        kind=st.integers(0, 1),
        args=st.lists(st.integers(), max_size=3),
        kwargs=st.dictionaries(st.sampled_from("xyz"), st.integers(), max_size=2),
    )
    def make_finalizer(self, owner, kind, args, kwargs):
        if owner not in self.living:
            return None
        name = self.name()
        log = self.log  # a closure over self would be a closure over all objects

        def run(*args, **kwargs):
            log.append(name)
            return args, kwargs

        self.real[name] = self.kinds[kind](self.living[owner], run, *args, **kwargs)
        self.models[name] = Model(owner, (tuple(args), kwargs))
        return name

    @stateful.rule(owner=objects)
    def let_go(self, owner):
        if owner not in self.living:
            return
        del self.living[owner]
        gc.collect(0)
        gc.collect()
        waiting = [n for n, m in self.models.items() if m.owner == owner and m.alive]
        ran = self.log[len(self.expected) :]
        assert sorted(ran) == sorted(waiting)
        beside = [n for n in ran if n > 0]
        assert beside == sorted(beside, reverse=True)  # the youngest first
        self.expected += ran
        for n in waiting:
            self.models[n].alive = False

    @stateful.rule(name=cleanups)
    def call(self, name):
        if name is None:
            return
        model = self.models[name]
        assert self.real[name]() == (model.call if model.alive else None)
        self.expected += [name] * model.alive
        model.alive = False

    @stateful.rule(name=cleanups)
    def detach(self, name):
        if name is None:
            return
        model, got = self.models[name], self.real[name].detach()
        if model.alive:
            assert got[0] is self.living[model.owner] and got[2:] == model.call
        else:
            assert got is None
        model.alive = False

    @stateful.rule(name=cleanups)
    def peek(self, name):
        if name is not None:
            model, got = self.models[name], self.real[name].peek()
            assert (got is not None) == model.alive
            assert not got or got[2:] == model.call

    @stateful.rule(owner=objects)
    def finalize_own(self, owner):
        if owner in self.living and -owner in self.models:
            model = self.models[-owner]
            assert self.living[owner].finalize() == (-owner if model.alive else None)
            self.expected += [-owner] * model.alive
            model.alive = False

    @stateful.rule(name=cleanups, flag=st.sampled_from(["atexit", "inherit"]), to=st.booleans())
    def set_flag(self, name, flag, to):
        if name is not None:
            setattr(self.real[name], flag, to)
            self.models[name].flags[flag] = to

    @stateful.rule()
    def collect(self):
        gc.collect()

    @stateful.invariant()
    def as_the_model_says(self):
        assert self.log == self.expected
        for name, thing in self.real.items():
            model = self.models[name]
            assert thing.alive == model.alive
            for flag, value in model.flags.items():
                assert getattr(thing, flag) == (model.alive and value)
        for name, obj in self.living.items():
            if -name in self.models:
                assert obj.alive == self.models[-name].alive

    def teardown(self):
        for thing in self.real.values():
            thing.detach()
        self.living.clear()
        gc.collect()


@pytest.fixture
def frozen():
    """Collections come when the model says so, and look at what the test makes, not at the rest."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()


def test_against_a_model(impl, frozen):
    machine = type("MachineOf", (Machine,), {"impl": impl})
    stateful.run_state_machine_as_test(
        machine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None)
    )
