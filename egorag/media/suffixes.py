"""Which file names look like media and which like subtitles.

A suffix only decides what a folder offers; a file named outright is tried whatever it is called.
"""

from __future__ import annotations

_VIDEO = (
    ".3g2 .3gp .asf .avi .divx .dv .f4v .flv .gxf .h264 .h265 .hevc .insv .ivf .lrv .m1v .m2p .m2t"
    " .m2ts .m2v .m4s .m4v .mj2 .mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nut .obu"
    " .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .wtv .y4m"
)
_SOUND = (
    ".aac .ac3 .ac4 .aif .aifc .aiff .alac .amr .ape .au .caf .dts .eac3 .flac .m4a .m4b .m4r .mka"
    " .mp1 .mp2 .mp3 .mpc .oga .ogg .opus .ra .snd .spx .tta .w64 .wav .wma .wv"
)
VIDEO_SUFFIXES = frozenset(_VIDEO.split())
SOUND_SUFFIXES = frozenset(_SOUND.split())
MEDIA_SUFFIXES = VIDEO_SUFFIXES | SOUND_SUFFIXES
SUBTITLE_SUFFIXES = frozenset((".srt", ".vtt"))
