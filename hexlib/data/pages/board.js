// Notation, and a board that is drawn in the page already: this paints what stands on it.

const BLUE = 1, RED = 2;
const COLOURS = ["nobody", "blue", "red"];
const SVG = "http://www.w3.org/2000/svg";

const cellName = (cell, n) => String.fromCharCode(97 + (cell % n)) + (Math.floor(cell / n) + 1);
const namesOf = (cells, n) => cells.map((cell) => cellName(cell, n));
const colourAt = (ply) => BLUE + (ply % 2);
const isSwap = (moves, ply) => ply === 1 && moves[1] === moves[0];
const percent = (share) => `${Math.round(100 * share)} %`;

/** A value from −1 to 1 for blue as blue's chance to win, in words. */
const chanceOf = (value) => `blue wins with ${percent((1 + value) / 2)}`;

/** Stones after some moves; a second move equal to the first is a swap and makes its stone red. */
function stonesAfter(moves, n) {
  const stones = new Array(n * n).fill(0);
  moves.forEach((move, ply) => { stones[move] = colourAt(ply); });
  return stones;
}

/** The moves without a swap: through the reflection blue has opened there and red goes on. */
function withoutSwap(moves, n) {
  if (!isSwap(moves, 1)) return moves;
  return moves.slice(1).map((move) => (move % n) * n + Math.floor(move / n));
}

function trmphOf(moves, n, winner, remark = "") {
  const letter = ["", " b", " r"][winner];
  return `#${n},${namesOf(moves, n).join("")}${letter}${remark && ` # ${remark}`}`;
}

/** SGF as HexGui reads it: black moves first and joins top and bottom. */
function sgfOf(moves, n, winner) {
  const swapped = isSwap(moves, 1);
  const colour = swapped ? [0, RED, BLUE][winner] : winner;
  const result = ["", "RE[B+]", "RE[W+]"][colour];
  const nodes = namesOf(withoutSwap(moves, n), n).map((name, ply) => `;${"BW"[ply % 2]}[${name}]`);
  return `(;FF[4]GM[11]SZ[${n}]${result}${nodes.join("")})\n`;
}

const hexWorldOf = (moves, n) =>
  `https://hexworld.org/board/#${n},${namesOf(withoutSwap(moves, n), n).join("")}`;

/** Paints one board. */
class Board {
  constructor(svg) {
    this.svg = svg;
    this.cells = [...svg.querySelectorAll("[data-cell]")].map((group) => {
      const hexagon = group.querySelector("polygon");
      const like = (kind) => {
        const made = group.appendChild(hexagon.cloneNode());
        made.setAttribute("class", kind);
        return made;
      };
      const heat = like("heat");
      like("outline").setAttribute("transform", "scale(.88)"); // of the best move, or in focus
      const circle = (kind, radius) => {
        const made = group.appendChild(document.createElementNS(SVG, "circle"));
        made.setAttribute("class", kind);
        made.setAttribute("r", radius);
        return made;
      };
      circle("stone", 14);
      circle("ring", 9); // tells red from blue without colours
      const text = group.appendChild(document.createElementNS(SVG, "text"));
      text.setAttribute("y", 4);
      return { group, heat, text };
    });
  }

  /** Tell a screen reader what stands on a board that is one picture: `stones` [A]. */
  describe(stones) {
    const n = Math.sqrt(stones.length);
    const those = (colour) => namesOf(
      [...stones.keys()].filter((cell) => stones[cell] === colour), n).join(", ") || "none";
    this.svg.setAttribute("aria-label",
      `Hex board of ${n} by ${n} cells. Blue stones: ${those(BLUE)}. Red stones: ${those(RED)}.`);
  }

  /**
   * Paint a position. `stones` [A] as `stonesAfter` gives them; `last` is the cell of the last
   * move; `chain` the cells of the winning chain; `heat` a Map from cell to share or chance of 1,
   * in the colour `turn`; `line` the moves expected, the first by `turn`; `best` a cell to outline;
   * `numbers` a Map from cell to the text on its stone.
   */
  paint({ stones, last = -1, chain = [], heat = new Map(), turn = BLUE, line = [], best = null,
          numbers = new Map() }) {
    const onChain = new Set(chain);
    const most = Math.max(1e-9, ...heat.values());
    this.cells.forEach(({ group, heat: layer, text }, cell) => {
      const share = stones[cell] ? undefined : heat.get(cell);
      const expected = stones[cell] ? -1 : line.indexOf(cell);
      const kind = ["cell"];
      if (stones[cell]) kind.push(COLOURS[stones[cell]]);
      else if (expected >= 0) kind.push("expected", COLOURS[colourAt(turn - BLUE + expected)]);
      if (cell === last) kind.push("last");
      if (cell === best) kind.push("best");
      if (onChain.size) kind.push(onChain.has(cell) ? "chain" : "off");
      group.setAttribute("class", kind.join(" "));
      layer.setAttribute("class", `heat ${COLOURS[turn]}`);
      layer.setAttribute("fill-opacity", share === undefined ? 0 : (0.06 + 0.5 * share / most).toFixed(3));
      text.textContent = numbers.get(cell) ?? (expected >= 0 ? expected + 1
        : share === undefined ? "" : Math.round(100 * share));
    });
  }
}
