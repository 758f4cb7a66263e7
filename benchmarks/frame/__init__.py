"""How speed is measured: arms in interleaved slices, raw data, tables.

A line of what is judged is a module in benchmarks/judged/ with a `LINE`::

    def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
        ours, echo = Intake(stage), Echo(stage)
        yield compare("accepted webhooks", ours, [echo], options, say, goal=at_least(0.6))
        yield Latency("p99 of the 202", {0.99: at_most(15)}, rounds, settings)
        yield Quantity("queries of a relay", "queries/s", rounds, at_most(2))

    LINE = Line(1, "intake", "Accepted webhooks against a view that does nothing", measure)

An arm does its units in a block that the stage measures, and checks what came out of it::

    with self.stage.meter(web=[self.web.pid], load=[os.getpid()]).turn() as turn:
        ...
    if stored != accepted:
        raise Void(f"{accepted} were accepted, {stored} are stored")
    return turn.slice(accepted)

The tables are emptied before each line and after each finding; an arm that needs them empty before
each of its slices calls `stage.empty()`. With `options.quick` a line takes few seconds in all.
"""
