// A game of a person against the network. The tab holds the game, the server answers questions.

/** A game on the page as `play.html` lays it out. */
class Play {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    const chosen = JSON.parse(this.part("chosen").textContent);
    this.size = chosen.size;
    this.swap = chosen.swap === "on";
    this.human = COLOURS.indexOf(chosen.colour);
    this.identity = `${chosen.size} ${chosen.colour} ${chosen.swap}`;
    this.board = new Board(root.querySelector("svg.board"));
    this.question = 0; // number of the newest; an answer to an older one comes too late
    this.begin(JSON.parse(sessionStorage.getItem(this.identity) ?? '{"moves": [], "resigned": 0}'));

    this.board.cells.forEach(({ group }, cell) => {
      group.addEventListener("click", () => this.play(cell));
      group.addEventListener("focus", () => this.focusable(cell));
    });
    this.board.svg.addEventListener("keydown", (event) => this.key(event));
    this.focusable(Math.floor(this.size * this.size / 2));
    this.part("undo").addEventListener("click", () => this.undo());
    this.part("swap").addEventListener("click", () => this.play(this.moves[0]));
    this.part("resign").addEventListener("click", () => {
      this.resigned = this.human;
      this.settle();
    });
    for (const [name, other] of [["hints", "values"], ["values", "hints"]]) {
      this.part(name).addEventListener("change", () => {
        if (this.part(name).checked) this.part(other).checked = false; // one heat map at a time
        this.settle();
      });
    }
    this.part("numbers").addEventListener("change", () => this.show());
    this.part("paste").addEventListener("submit", (event) => {
      event.preventDefault();
      this.paste(this.part("text").value);
    });
    this.part("new").addEventListener("submit", () => sessionStorage.clear());
    this.settle();
  }

  begin({ moves, resigned }) {
    this.moves = moves;
    this.resigned = resigned;
  }

  get winner() {
    return this.resigned ? BLUE + RED - this.resigned : this.here.winner;
  }

  get humanToMove() {
    return !this.winner && !this.thinking && this.here.turn === this.human;
  }

  get maySwap() {
    return this.swap && this.moves.length === 1 && this.humanToMove;
  }

  async ask(path, extra = {}) {
    const simulations = Number(this.part("simulations").value);
    const body = { size: this.size, moves: this.moves, simulations, may_swap: this.swap, ...extra };
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(path === "/read" ? extra : body),
    });
    const content = await answer.json();
    if (content.error) throw new Error(content.error);
    return content;
  }

  /** Bring the page up to date with the moves: the rules, the network's move, the hints. */
  async settle() {
    const question = ++this.question;
    this.hint = null;
    this.trouble = "";
    this.thinking = true;
    this.here = { turn: colourAt(this.moves.length), winner: 0, chain: [] };
    this.show();
    try {
      this.here = await this.ask("/position");
      if (question !== this.question) return;
      this.show();
      if (!this.winner && this.here.turn !== this.human) {
        const answer = await this.ask("/move");
        if (question !== this.question) return;
        this.moves.push(answer.move);
        this.here = answer;
      }
      this.thinking = false;
      sessionStorage.setItem(this.identity,
        JSON.stringify({ moves: this.moves, resigned: this.resigned }));
      this.show();
      if ((this.part("hints").checked || this.part("values").checked) && !this.winner) {
        const hint = await this.ask("/hints");
        if (question !== this.question) return;
        this.hint = hint;
      }
    } catch (error) {
      if (question !== this.question) return;
      this.thinking = false;
      this.trouble = `That did not work: ${error.message}. Undo, or try again.`;
    }
    this.show();
  }

  play(cell) {
    const taken = stonesAfter(this.moves, this.size)[cell];
    if (!this.humanToMove || (taken && !(this.maySwap && cell === this.moves[0]))) return;
    this.moves.push(cell);
    this.settle();
  }

  /** Back to where the person moved last. */
  undo() {
    if (this.resigned) {
      this.resigned = 0;
    } else {
      const made = this.moves.length;
      do this.moves.pop(); while (this.moves.length && colourAt(this.moves.length) !== this.human);
      if (made === this.moves.length) return;
    }
    this.settle();
  }

  async paste(text) {
    try {
      const { size, moves } = await this.ask("/read", { text });
      if (size !== this.size) {
        const form = new FormData(this.part("new"));
        form.set("size", size);
        const identity = `${size} ${form.get("colour")} ${form.get("swap")}`;
        sessionStorage.setItem(identity, JSON.stringify({ moves, resigned: 0 }));
        location.search = new URLSearchParams(form);
        return;
      }
      this.begin({ moves, resigned: 0 });
      this.part("text").value = "";
      this.settle();
    } catch (error) {
      this.trouble = `This is no game to go on from: ${error.message}.`;
      this.show();
    }
  }

  key(event) {
    const cell = this.board.cells.findIndex(({ group }) => group === document.activeElement);
    if (cell < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const n = this.size, row = Math.floor(cell / n), column = cell % n;
    const to = {
      ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
      Home: [row, 0], End: [row, n - 1],
    }[event.key];
    if (to) {
      event.preventDefault();
      const [r, c] = to.map((k) => Math.min(Math.max(k, 0), n - 1));
      this.board.cells[r * n + c].group.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.play(cell);
    }
  }

  /** The one cell that the tab key comes to. */
  focusable(cell) {
    this.board.cells.forEach(({ group }, other) =>
      group.setAttribute("tabindex", other === cell ? 0 : -1));
  }

  show() {
    const n = this.size, { moves, winner, hint } = this;
    const stones = stonesAfter(moves, n);
    const heat = new Map((this.part("values").checked ? hint?.values : hint?.policy) ?? []);
    this.board.paint({
      stones,
      last: moves.at(-1),
      chain: this.here.chain,
      heat,
      turn: this.here.turn,
      best: hint ? hint.policy[0][0] : null,
      numbers: new Map(this.part("numbers").checked ? moves.map((move, ply) => [move, ply + 1]) : []),
    });
    this.root.setAttribute("aria-busy", this.thinking);
    this.board.svg.setAttribute("data-turn", this.humanToMove ? COLOURS[this.human] : "");
    this.board.cells.forEach(({ group }, cell) => {
      const what = stones[cell] ? COLOURS[stones[cell]] : "empty";
      const share = heat.has(cell) ? `, ${percent(heat.get(cell))}` : "";
      group.setAttribute("aria-label", `${cellName(cell, n)}, ${what}${share}`);
    });
    this.part("undo").disabled = !this.resigned && moves.length < (this.human === BLUE ? 1 : 2);
    this.part("resign").disabled = Boolean(winner);
    this.part("swap").hidden = !this.maySwap;
    this.part("balance").hidden = !hint;
    if (hint) {
      this.part("balance").style.setProperty("--blue-share", `${50 + 50 * hint.value}%`);
      this.part("balance").textContent = chanceOf(hint.value);
    }
    this.part("moves").replaceChildren(...moves.map((move, ply) => {
      const item = document.createElement("li");
      item.className = COLOURS[colourAt(ply)];
      item.textContent = isSwap(moves, ply) ? "swap" : cellName(move, n);
      return item;
    }));
    this.part("moves").scrollTop = this.part("moves").scrollHeight;
    const remark = this.resigned ? `${COLOURS[this.resigned]} resigned` : "";
    const save = (name, text) => {
      this.part(name).href = `data:text/plain;charset=utf-8,${encodeURIComponent(text)}`;
    };
    save("trmph", `${trmphOf(moves, n, this.here.winner, remark)}\n`);
    save("sgf", sgfOf(moves, n, winner));
    this.part("hexworld").href = hexWorldOf(moves, n);
    this.part("status").textContent = this.inWords();
  }

  inWords() {
    const { moves, hint, size: n } = this;
    if (this.trouble) return this.trouble;
    const words = [];
    const last = moves.length - 1;
    if (last >= 0) {
      const who = colourAt(last) === this.human ? "You" : "The network";
      const verb = isSwap(moves, last) ? "swap" : "play";
      const what = isSwap(moves, last) ? "" : ` ${cellName(moves[last], n)}`;
      words.push(`${who} ${verb}${who === "You" ? "" : "s"}${what}.`);
    }
    if (this.resigned) {
      words.push("You resign: the network wins.");
    } else if (this.winner) {
      words.push(this.winner === this.human ? "You have joined your edges and win!"
        : "The network has joined its edges and wins.");
    } else if (this.humanToMove) {
      const sides = this.human === BLUE ? "top and bottom" : "left and right";
      words.push(`Your move: you are ${COLOURS[this.human]} and join ${sides}.`);
    } else {
      words.push("The network is thinking …");
    }
    if (hint) words.push(`It would go on ${namesOf(hint.line, n).join(" ")}.`);
    return words.join(" ");
  }
}

new Play(document.querySelector("[data-play]"));
