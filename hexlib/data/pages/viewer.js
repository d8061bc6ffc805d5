// Steps through the games that stand in the page as JSON.

/** A viewer in `root`, as `viewer.html` lays it out. */
class Viewer {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.games = JSON.parse(this.part("games").textContent);
    this.board = new Board(root.querySelector("svg.board"));
    const steps = { first: -Infinity, back: -1, on: 1, last: Infinity };
    for (const [name, step] of Object.entries(steps)) {
      this.part(name).addEventListener("click", () => this.step(step));
    }
    const keys = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    root.addEventListener("keydown", (event) => {
      // The arrows are wanted where text is typed, and to scroll a board wider than the window.
      const typing = event.target.matches("input, select, textarea")
        || (event.target.matches(".scroll") && event.target.scrollWidth > event.target.clientWidth);
      if (typing || !(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.step(keys[event.key]);
    });
    this.part("ply").addEventListener("input", (event) => this.go(Number(event.target.value)));
    this.part("game").addEventListener("change", (event) => this.open(Number(event.target.value)));
    for (const name of ["policy", "values", "line", "numbers"]) {
      this.part(name).addEventListener("change", () => {
        // One heat map at a time.
        const other = { policy: "values", values: "policy" }[name];
        if (other && this.part(name).checked) this.part(other).checked = false;
        this.show();
      });
    }
    this.part("moves").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.go(Number(button.dataset.ply));
    });
    this.part("curve").addEventListener("click", (event) => {
      const box = this.part("curve").getBoundingClientRect();
      this.go(Math.round((event.clientX - box.left) / box.width * this.game.moves.length));
    });
    this.part("copy-trmph").addEventListener("click", () =>
      this.copy("trmph", trmphOf(this.game.moves, this.game.size, this.game.winner)));
    this.part("copy-sgf").addEventListener("click", () =>
      this.copy("SGF", sgfOf(this.game.moves, this.game.size, this.game.winner)));
    this.open(0);
  }

  open(number) {
    this.game = this.games[number];
    const { size: n, moves, plies } = this.game;
    this.part("source").textContent = this.game.source;
    this.part("ply").max = moves.length;
    this.part("hexworld").href = hexWorldOf(moves, n);
    for (const name of ["policy", "values", "line"]) {
      this.part(name).closest("label").hidden = !plies.some((ply) => ply[name].length);
    }
    this.part("moves").replaceChildren(...moves.map((move, ply) => {
      const item = document.createElement("li");
      const button = item.appendChild(document.createElement("button"));
      button.type = "button";
      button.dataset.ply = ply + 1;
      button.className = `${COLOURS[colourAt(ply)]} ${plies[ply].mark}`;
      button.textContent = isSwap(moves, ply) ? "swap" : cellName(move, n);
      const mark = plies[ply].mark ? `, ${plies[ply].mark}` : "";
      button.setAttribute("aria-label",
        `Move ${ply + 1}, ${COLOURS[colourAt(ply)]} ${button.textContent}${mark}`);
      return item;
    }));
    this.drawCurve();
    this.go(plies.some((ply) => ply.mark) ? 1 + plies.findIndex((ply) => ply.mark) : moves.length);
  }

  /** Blue's value over the plies, above and below the middle. */
  drawCurve() {
    const { moves, plies } = this.game;
    const known = plies.map((ply, k) => [k, ply.value]).filter(([, value]) => value !== null);
    const points = known.map(([k, value]) =>
      `${(1000 * k / moves.length).toFixed(1)},${(50 - 48 * value).toFixed(1)}`);
    this.part("curve").hidden = known.length < 2;
    this.part("curve").querySelector("polyline").setAttribute("points", points.join(" "));
  }

  step(by) {
    this.go(Math.min(Math.max(this.ply + by, 0), this.game.moves.length));
  }

  go(ply) {
    this.ply = Math.min(Math.max(ply, 0), this.game.moves.length);
    this.show();
  }

  /** Whether a box is ticked and can be seen. */
  on(name) {
    return this.part(name).checked && !this.part(name).closest("label").hidden;
  }

  show() {
    const { size: n, moves, winner, chain, plies } = this.game;
    const over = this.ply === moves.length;
    const here = plies[this.ply];
    const made = moves.slice(0, this.ply);
    this.board.paint({
      stones: stonesAfter(made, n),
      last: made.at(-1),
      chain: over && winner ? chain : [],
      heat: new Map(this.on("values") ? here.values : this.on("policy") ? here.policy : []),
      turn: colourAt(this.ply),
      line: this.on("line") ? here.line.slice(0, 9) : [],
      best: here.best,
      numbers: new Map(this.on("numbers") ? made.map((move, ply) => [move, ply + 1]) : []),
    });
    this.board.describe(stonesAfter(made, n));
    this.part("ply").value = this.ply;
    const edge = { first: 0, back: 0, on: moves.length, last: moves.length };
    for (const [name, ply] of Object.entries(edge)) this.part(name).disabled = this.ply === ply;
    this.part("moves").querySelectorAll("button").forEach((button) => {
      const current = Number(button.dataset.ply) === this.ply;
      button.toggleAttribute("aria-current", current);
      if (current) this.intoView(button);
    });
    const x = 1000 * this.ply / moves.length;
    this.part("here").setAttribute("d", `M${x} 0V100`);
    const known = here.value !== null;
    this.part("balance").style.setProperty("--blue-share", `${known ? 50 + 50 * here.value : 50}%`);
    this.part("balance").textContent = known ? chanceOf(here.value) : "value not known";
    this.part("status").textContent = this.inWords();
  }

  /** Scroll the list of moves, and nothing else, so that a button can be seen. */
  intoView(button) {
    const list = this.part("moves");
    const top = button.offsetTop; // the list is positioned, so it counts from the list's top
    if (top < list.scrollTop || top + button.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = top - list.clientHeight / 2;
    }
  }

  inWords() {
    const { size: n, moves, winner, plies } = this.game;
    const here = plies[this.ply], before = plies[this.ply - 1];
    const words = [];
    if (this.ply) {
      const name = isSwap(moves, this.ply - 1) ? "swaps" : `plays ${cellName(moves[this.ply - 1], n)}`;
      words.push(`Ply ${this.ply} of ${moves.length}: ${COLOURS[colourAt(this.ply - 1)]} ${name}.`);
      if (before.note) words.push(before.note);
    } else {
      words.push(`The empty board; ${moves.length} moves follow.`);
    }
    if (this.ply === moves.length) {
      words.push(winner ? `${winner === BLUE ? "Blue" : "Red"} has joined its edges and wins.`
        : "The record ends here.");
    } else {
      words.push(`${COLOURS[colourAt(this.ply)]} is to move.`.replace(/^./, (c) => c.toUpperCase()));
      const likeliest = here.policy.slice(0, 3).map(([cell, share]) =>
        `${cellName(cell, n)} ${percent(share)}`);
      if (likeliest.length) words.push(`Likeliest: ${likeliest.join(", ")}.`);
      if (this.on("values")) {
        const best = here.values.slice(0, 3).map(([cell, chance]) =>
          `${cellName(cell, n)} ${percent(chance)}`);
        if (best.length) words.push(`Chance to win by move: ${best.join(", ")}.`);
      }
      if (here.line.length) words.push(`Expected: ${namesOf(here.line.slice(0, 9), n).join(" ")}.`);
    }
    return words.join(" ");
  }

  async copy(name, text) {
    try {
      await navigator.clipboard.writeText(text);
      this.part("copied").textContent = `${name} is copied.`;
    } catch {
      // A page from disk may not be allowed to: then the text is there to be taken.
      this.part("copied").textContent = text;
    }
  }
}

document.querySelectorAll("[data-viewer]").forEach((root) => new Viewer(root));
