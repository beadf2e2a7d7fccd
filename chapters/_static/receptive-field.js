/* <receptive-field-builder>: convolution layers to stack, and the input pixels that one output value sees. */
class ReceptiveFieldBuilder extends HTMLElement {
  static MOST_LAYERS = 8;
  static GRIDS = [31, 63, 127];  // input pixels drawn along a side: the smallest that holds the field
  static CHOICES = { "filter width": [1, 3, 5, 7], stride: [1, 2], dilation: [1, 2, 4, 8] };
  static STACKS = {  // layers (filter width, stride, dilation)
    "3 layers 3×3": Array(3).fill([3, 1, 1]),
    "8 layers 3×3": Array(8).fill([3, 1, 1]),
    "3 layers 5×5": Array(3).fill([5, 1, 1]),
    "dilations 1, 2, 4": [[3, 1, 1], [3, 1, 2], [3, 1, 4]],
    "dilation 2 throughout": Array(3).fill([3, 1, 2]),
    "stride 2, then 2 layers 3×3": [[3, 2, 1], [3, 1, 1], [3, 1, 1]],
    "5 layers 3×3, all stride 2": Array(5).fill([3, 2, 1]),
  };

  /* Width r of the field after each layer, and the distance j between neighbouring outputs, in input pixels. */
  static recursion(layers) {
    let r = 1, j = 1;
    return layers.map(([k, s, d]) => {
      r += d * (k - 1) * j;
      j *= s;
      return { r, j };
    });
  }

  /* Paths to the output from each input pixel of the field, along one axis; in 2-D multiply those of row and column. */
  static footprint(layers) {
    let paths = [1];  // from the output back to the input
    for (const [k, s, d] of [...layers].reverse()) {
      const before = Array(s * (paths.length - 1) + d * (k - 1) + 1).fill(0);
      paths.forEach((count, i) => { for (let tap = 0; tap < k; tap++) before[s * i + d * tap] += count; });
      paths = before;
    }
    return paths;
  }

  connectedCallback() {
    if (document.readyState === "loading")  // the fallback sentence is still to come, and would land in the figure
      return document.addEventListener("DOMContentLoaded", () => this.connectedCallback(), { once: true });
    if (this.layers) return;  // moved within the page
    const stacks = [...Object.keys(ReceptiveFieldBuilder.STACKS), "own layers"].map(name => `<option>${name}</option>`);
    const heads = ["layer", "filter k", "stride s", "dilation d", "field r", "step j"];
    this.innerHTML = `<div class="live-stack">
      <label>Stack <select class="live-preset" autocomplete="off">${stacks.join("")}</select></label>
      <table aria-label="layers of the stack"><thead><tr>${heads.map(head => `<th scope="col">${head}</th>`).join("")}<td></td></tr></thead><tbody></tbody></table>
      <button type="button" class="live-add">Add a layer</button></div>
      <figure><svg role="img"></svg><figcaption></figcaption></figure><p class="live-said" aria-live="polite"></p>`;
    this.preset = this.querySelector(".live-preset");
    this.addEventListener("input", ({ target }) => {
      if (target === this.preset) return this.setLayers(ReceptiveFieldBuilder.STACKS[target.value] ?? this.layers);
      const [layer, number] = target.name.split(" ");
      this.layers[layer][number] = Number(target.value);
      this.preset.value = "own layers";
      this.show();
    });
    this.addEventListener("click", ({ target }) => {
      if (target.tagName !== "BUTTON") return;
      const at = target.className === "live-add" ? this.layers.length : Number(target.value);
      const layers = at < this.layers.length ? this.layers.toSpliced(at, 1) : [...this.layers, [3, 1, 1]];
      this.preset.value = "own layers";
      this.setLayers(layers);
      const buttons = this.querySelectorAll("button:not(:disabled)");  // the one used may be gone
      if (!target.isConnected || target.disabled) buttons[Math.min(at, buttons.length - 1)].focus();
    });
    this.setLayers(ReceptiveFieldBuilder.STACKS[this.preset.value]);
  }

  setLayers(layers) {
    this.layers = layers.map(layer => [...layer]);
    const option = (v, chosen) => `<option${v === chosen ? " selected" : ""}>${v}</option>`;
    const choice = (l, i, [what, values]) => `<td><select name="${l} ${i}" aria-label="${what} of layer ${l + 1}"
      autocomplete="off">${values.map(v => option(v, layers[l][i])).join("")}</select></td>`;
    const row = l => `<tr><th scope="row">${l + 1}</th>
      ${Object.entries(ReceptiveFieldBuilder.CHOICES).map((entry, i) => choice(l, i, entry)).join("")}
      <td class="r"></td><td class="j"></td><td><button type="button" value="${l}" aria-label="remove layer ${l + 1}"
      ${layers.length < 2 ? "disabled" : ""}>×</button></td></tr>`;
    this.querySelector("tbody").innerHTML = layers.map((_, l) => row(l)).join("");
    this.querySelector(".live-add").disabled = layers.length >= ReceptiveFieldBuilder.MOST_LAYERS;
    this.show();
  }

  show() {
    const layers = this.layers, widths = ReceptiveFieldBuilder.recursion(layers), { r } = widths.at(-1);
    this.querySelectorAll("tbody tr").forEach((row, l) => {
      for (const symbol of ["r", "j"]) row.querySelector(`.${symbol}`).textContent = widths[l][symbol];
    });
    const paths = ReceptiveFieldBuilder.footprint(layers), total = paths.reduce((a, b) => a + b);
    const seen = paths.filter(Boolean).length, most = Math.max(...paths);
    const grid = ReceptiveFieldBuilder.GRIDS.find(side => side >= r) ?? ReceptiveFieldBuilder.GRIDS.at(-1);
    const held = h => paths.slice((r - 1) / 2 - h, (r + 1) / 2 + h).reduce((a, b) => a + b) / total;
    let half = 0;
    while (held(half) < 0.95) half++;
    this.draw(paths, most, grid);
    this.querySelector("figcaption").textContent =
      (r > grid ? `The middle ${grid}×${grid} pixels of the field. ` : `${grid}×${grid} input pixels. Dashed: the field. `)
      + `Stronger shade: more paths to the output${seen < r ? "; blank: none" : ""}. Dot: the middle. Bars: paths along one axis.`;

    const weights = layers.map(([k]) => k * k), sum = weights.reduce((a, b) => a + b);
    const many = (n, what) => `${n.toLocaleString("en").replaceAll(",", "\u202f")}\u00a0${what}${n === 1 ? "" : "s"}`;
    this.querySelector(".live-said").textContent = [
      `${many(layers.length, "layer")} ${layers.length > 1 ? "see" : "sees"} a field of ${r}×${r} = ${many(r * r, "input pixel")},`,
      seen === r ? "and every one of them has a path to the output." : `but only ${seen * seen} of them have a path to the output.`,
      `A pixel has up to ${many(most ** 2, "path")}, a corner of the field ${many(paths[0] ** 2, "path")};`,
      `along one axis it takes the middle ${2 * half + 1} of ${many(r, "pixel")} to hold 95\u00a0% of them.`,
      `For each pair of channels that makes ${many(sum, "weight")}, and one ${r}×${r} filter has ${many(r * r, "weight")}.`,
    ].join(" ");
  }

  draw(paths, most, grid) {
    const r = paths.length, start = (grid - r) / 2, bars = grid / 4;  // start < 0: only the middle is drawn
    const isDrawn = ([at, share]) => share > 0 && at >= 0 && at < grid;
    const seen = paths.map((count, i) => [i + start, count / most]).filter(isDrawn);  // [place, share of the most]
    const shades = {};  // opacity: its pixels as one outline
    for (const [y, a] of seen) for (const [x, b] of seen) {
      const opacity = (0.25 + 0.75 * a * b).toFixed(2);
      shades[opacity] = (shades[opacity] ?? "") + `M${x} ${y}h1v1h-1z`;
    }
    const lines = Array.from({ length: grid + 1 }, (_, i) => `M${i} 0V${grid}M0 ${i}H${grid}`).join("");
    const svg = this.querySelector("svg");
    svg.setAttribute("viewBox", `-0.5 -0.5 ${grid + 1} ${grid + bars + 2}`);
    svg.setAttribute("aria-label", `The input pixels that one output value sees: a square of ${r} by ${r} pixels, `
      + `${paths.includes(0) ? "with gaps" : "without gaps"}, and the number of paths along one axis as bars below it.`);
    svg.innerHTML = `<g class="live-cells">
      ${Object.entries(shades).map(([opacity, d]) => `<path d="${d}" fill-opacity="${opacity}"/>`).join("")}
      ${seen.map(([x, a]) => `<rect x="${x}" y="${grid + 1 + bars * (1 - a)}" width="0.9" height="${bars * a}"/>`).join("")}</g>
      ${grid < 100 ? `<path class="live-grid" d="${lines}" stroke-width="0.06"/>` : ""}
      <rect class="live-field" x="${start}" y="${start}" width="${r}" height="${r}"
        stroke-width="${grid / 90}" stroke-dasharray="${grid / 45}"/>
      <circle class="live-middle" cx="${grid / 2}" cy="${grid / 2}" r="${grid / 100}" stroke-width="${grid / 200}"/>`;
  }
}
customElements.define("receptive-field-builder", ReceptiveFieldBuilder);
