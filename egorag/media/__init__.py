"""Media files in; frames, sound and cues out, at exact times.

    from egorag.media.probe import probe, content_hash
    from egorag.media.reader import Pass, frames, sound
    from egorag.media.sampling import FrameSampling, ShotSampling, SoundSampling, CueSampling

    facts = probe("kitchen.mp4")
    with Pass("kitchen.mp4", [FrameSampling(rate=1.0), SoundSampling(rate=16_000)]) as run:
        for reader, item in run:
            ...
    print(run.report)

Nothing is imported here: PyAV is loaded with the module that needs it.
"""
