"""An HTP engine for the tests: plays the first empty cell, with the fault that its argument names.

`engine.py SIZES FAULT`: SIZES is how many numbers it wants from `boardsize`, FAULT one of none,
crash, sleep, occupied, resign, swap, refuse, garbage, noise.
"""

import sys
import time

wanted, fault = int(sys.argv[1]), sys.argv[2]
size, stones = 0, []
for line in sys.stdin:
    word, *rest = line.split()
    text, sign = "", "="
    if word == "name":
        text = "first cell"
    elif word == "version":
        sign = "?"
    elif word == "boardsize":
        if len(rest) == wanted:
            size = int(rest[0])
        else:
            sign, text = "?", "syntax"
    elif word == "clear_board":
        stones = []
    elif word == "play":
        sign = "?" if fault == "refuse" else "="
        assert rest[0] == ["black", "white"][len(stones) % 2]
        stones.append(rest[1])
    elif word == "genmove":
        cells = [f"{chr(97 + c)}{r + 1}" for r in range(size) for c in range(size)]
        text = next(cell for cell in cells if cell not in stones)
        if fault == "crash":
            sys.exit(3)
        if fault == "sleep":
            time.sleep(60)
        if fault == "garbage":
            print("hello\n", flush=True)
            continue
        text = {"occupied": stones[-1], "resign": "resign", "swap": "swap-pieces"}.get(fault, text)
        stones.append(text)
        text = text.upper() if fault == "noise" else text
    elif word == "quit":
        break
    blank = "\n\r\n" if fault == "noise" else ""
    print(f"{blank}{sign} {text}\n", flush=True)
