"""What the paper reports in its Tables I to IV, to print beside ours (its own 100 phones)."""

from __future__ import annotations

SERS = ("-20", "-10", "0", "10")

BASE, DA, PL, TWO_MASKS, PWF = (
    "two-stage",
    "+ DA",
    "+ DA + PL",
    "+ DA + PL + two masks",
    "+ DA + PL + PWF",
)
ROWS = (BASE, DA, PL, TWO_MASKS, PWF)
STAGES = ("Stage 1 (+10 dB)", "Stage 2 (+20 dB)", "Final stage (+∞ dB)")

# PESQ at -20, -10, 0 and 10 dB, then ERLE in dB.
TABLE_I: dict[str, tuple[float, ...]] = {
    BASE: (1.26, 1.95, 2.51, 2.77, 35.12),
    DA: (1.57, 2.09, 2.66, 2.80, 41.46),
    PL: (1.83, 2.27, 2.67, 2.78, 42.77),
}
# DCF in % at volumes 70 and 100, then WER in % at the same.
TABLE_II: dict[str, tuple[float, ...]] = {
    BASE: (5.30, 8.78, 10.76, 20.24),
    DA: (2.41, 5.55, 9.24, 17.91),
    PL: (2.17, 4.81, 8.83, 15.81),
    TWO_MASKS: (2.35, 4.64, 8.70, 15.49),
    PWF: (1.73, 3.68, 7.05, 11.72),
}
# WER in % at volumes 70 and 100.
TABLE_III: dict[str, tuple[float, ...]] = dict(
    zip(STAGES, ((17.65, 53.24), (10.32, 22.64), (8.83, 15.81)), strict=True)
)
# DCF in %, WER in %, PESQ, ERLE in dB, by beta.
TABLE_IV: dict[float, tuple[float, ...]] = {
    0.1: (29.72, 12.24, 2.18, 14.09),
    0.2: (10.56, 9.39, 2.33, 25.58),
    0.4: (4.45, 10.04, 2.39, 38.24),
    0.6: (2.70, 13.13, 2.16, 43.11),
    0.8: (3.19, 17.95, 1.81, 45.93),
}
