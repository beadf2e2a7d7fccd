/* <kernel-editor>: a 3×3 filter to edit, and what it makes of a picture. */
class KernelEditor extends HTMLElement {
  static home = document.currentScript.src;  // the pictures lie beside this script

  static PRESETS = {  // name: [nine weights, divided by, what the result shows]
    "identity": [[0, 0, 0, 0, 1, 0, 0, 0, 0], 1, "unchanged"],
    "box blur": [[1, 1, 1, 1, 1, 1, 1, 1, 1], 9, "blurred"],
    "binomial blur": [[1, 2, 1, 2, 4, 2, 1, 2, 1], 16, "slightly blurred"],
    "Sobel, horizontal": [[-1, -2, -1, 0, 0, 0, 1, 2, 1], 1, "its horizontal edges, light or dark on middle grey"],
    "Sobel, vertical": [[-1, 0, 1, -2, 0, 2, -1, 0, 1], 1, "its vertical edges, light or dark on middle grey"],
    "Laplacian": [[0, 1, 0, 1, -4, 1, 0, 1, 0], 1, "its edges as light beside dark lines, on middle grey"],
    "sharpen": [[0, -1, 0, -1, 5, -1, 0, -1, 0], 1, "with harder edges"],
    "shift": [[0, 0, 0, 1, 0, 0, 0, 0, 0], 1, "moved sideways by one pixel"],
    "1 to 9": [[1, 2, 3, 4, 5, 6, 7, 8, 9], 45, "blurred, and moved towards a corner"],
  };
  static PICTURES = {  // name: [as it is called, what it shows]
    photo: ["photograph", "a photographer with a tripod on a lawn"],
    ct_slice: ["CT slice", "a synthetic chest CT slice, zoomed on the right lung"],
    rectangle: ["rectangle", "a white rectangle on black, 16 rows high and 12 columns wide"],
    impulse: ["impulse", "a single white pixel on black"],
  };
  static PADDING = {  // the index that is read in place of i, of n; −1 where a zero is taken
    zeros: (i, n) => i < n ? i : -1,
    reflect: (i, n) => i < n ? Math.abs(i) : 2 * n - 2 - i,
    replicate: (i, n) => Math.min(Math.max(i, 0), n - 1),
    circular: (i, n) => (i + n) % n,
  };

  /* Σ_uv K_uv x_{i+u, j+v}, the correlation, or with flip Σ_uv K_uv x_{i−u, j−v}, the convolution; all row by row. */
  static convolve(x, height, width, kernel, { flip = false, padding = "zeros" } = {}) {
    const index = KernelEditor.PADDING[padding], sign = flip ? -1 : 1, result = new Float64Array(height * width);
    for (let i = 0; i < height; i++) for (let j = 0; j < width; j++)
      for (let u = -1; u <= 1; u++) for (let v = -1; v <= 1; v++) {
        const row = index(i + sign * u, height), column = index(j + sign * v, width);
        if (row >= 0 && column >= 0) result[i * width + j] += kernel[3 * (u + 1) + v + 1] * x[row * width + column];
      }
    return result;
  }

  /* The values drawn black and white. Where the weights cancel, a flat area gives 0, which becomes middle grey; else
     a white area gives the sum of the weights, which becomes white. An impulse gives the filter itself. */
  static greyWindow(result, kernel, isImpulse) {
    const sum = kernel.reduce((a, w) => a + w), size = kernel.reduce((a, w) => a + Math.abs(w), 0);
    const lowest = Math.min(...result), largest = Math.max(-lowest, ...result) || 1;
    if (Math.abs(sum) <= 0.05 * size || (isImpulse && lowest < 0)) return [-largest, largest];
    return isImpulse ? [0, largest] : [Math.min(0, sum), Math.max(0, sum)];
  }

  /* {x, side} of a picture, levels in [0, 1]. Scripts can be read from file:// too, unlike the pixels of an image. */
  static levels = {};
  static async load(name) {
    const inRectangle = (_, i) => i >= 8 * 32 && i < 24 * 32 && i % 32 >= 10 && i % 32 < 22;
    if (name === "rectangle") return { x: Float64Array.from({ length: 32 * 32 }, inRectangle), side: 32 };
    if (name === "impulse") return { x: Float64Array.from({ length: 7 * 7 }, (_, i) => i === 24), side: 7 };
    if (!KernelEditor.levels[name]) await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(`kernel-${name}.js`, KernelEditor.home);
      Object.assign(script, { onload: resolve, onerror: reject });
      document.head.append(script);
    });
    const x = Float64Array.from(atob(KernelEditor.levels[name]), byte => byte.charCodeAt(0) / 255);
    return { x, side: Math.sqrt(x.length) };
  }

  connectedCallback() {
    if (document.readyState === "loading")  // the sentence for pages without scripts would still be added at the end
      return document.addEventListener("DOMContentLoaded", () => this.connectedCallback(), { once: true });
    if (this.fields) return;  // moved within the page
    const { PRESETS, PICTURES, PADDING } = KernelEditor, options = (values, text = v => v) => values
      .map(v => `<option value="${v}">${text(v)}</option>`).join("");
    const pictures = options(Object.keys(PICTURES), name => PICTURES[name][0]);
    const weight = i => `<input type="number" name="weight" step="any" min="-99" max="99"
      aria-label="weight in row ${1 + Math.floor(i / 3)}, column ${1 + i % 3}">`;
    const figure = name => `<figure><canvas role="img" aria-label="${name}"></canvas><figcaption></figcaption></figure>`;
    this.innerHTML = `<form class="live-controls" autocomplete="off">
      <label>Picture <select name="picture">${pictures}</select></label>
      <label>Filter <select name="preset">${options([...Object.keys(PRESETS), "own weights"])}</select></label>
      <label>Operation <select name="flip"><option value="">correlation (conv2d)</option>
        <option value="flip">convolution</option></select></label>
      <label>Padding <select name="padding">${options(Object.keys(PADDING))}</select></label>
      <div class="live-pictures">${figure("input")}<fieldset class="live-kernel" dir="ltr"><legend>weights of the filter</legend>
      ${[0, 1, 2, 3, 4, 5, 6, 7, 8].map(weight).join("")}
      <label>divided by <input type="number" name="divisor" step="any" min="1" max="999"></label></fieldset>${figure("result")}</div>
      </form><p class="live-said" aria-live="polite"></p>`;
    const form = this.querySelector("form");
    this.fields = form.elements;
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("input", ({ target }) => {
      if (target.name === "preset") this.setWeights();
      if (target.type === "number") this.fields.preset.value = "own weights";
      this.show();
    });
    this.fields.preset.value = "Sobel, horizontal";
    this.setWeights();
    new IntersectionObserver(([{ isIntersecting }], observer) => {
      if (isIntersecting) observer.disconnect(), this.show();
    }, { rootMargin: "400px" }).observe(this);
  }

  setWeights() {
    const [weights, divisor] = KernelEditor.PRESETS[this.fields.preset.value] ?? [];
    if (weights) weights.forEach((w, i) => this.fields.weight[i].value = w), this.fields.divisor.value = divisor;
  }

  async show() {
    const { picture: { value: picture }, preset, flip, padding, weight, divisor } = this.fields;
    const loaded = await KernelEditor.load(picture).catch(() => null), said = this.querySelector(".live-said");
    if (picture !== this.fields.picture.value) return;  // another one was chosen meanwhile
    if (!loaded) return said.textContent = "The picture could not be loaded.";
    const { x, side } = loaded;
    const number = (field, empty) => Math.min(Math.max(field.value || empty, field.min), field.max);
    const kernel = [...weight].map(field => number(field, 0) / number(divisor, 1));
    const asked = { flip: flip.value !== "", padding: padding.value };
    const filter = how => KernelEditor.convolve(x, side, side, kernel, { ...asked, ...how });
    const result = filter(), [black, white] = KernelEditor.greyWindow(result, kernel, picture === "impulse");
    const [title, seen] = KernelEditor.PICTURES[picture];
    const effect = KernelEditor.PRESETS[preset.value]?.[2] ?? "under your own weights";
    const text = v => String(+v.toFixed(2) || 0).replace("-", "−");
    this.draw(0, x, side, 0, 1, `Input: ${seen}`, "input: black 0, white 1");
    this.draw(1, result, side, black, white, `Result: the ${title}, ${effect}`,
              `result: black ${text(black)}, white ${text(white)}`);
    const difference = how => text(Math.max(...filter(how).map((v, i) => Math.abs(v - result[i]))));
    const outside = result.filter(v => v < black - 1e-9 || v > white + 1e-9).length / result.length;
    said.textContent = [
      `The weights sum to ${text(kernel.reduce((a, w) => a + w))};`
      + ` the result ranges from ${text(Math.min(...result))}`
      + ` to ${text(Math.max(...result))}.`,
      black === -white ? "The grey window is symmetric: 0 is middle grey."
        : outside && `${text(100 * outside)}\u00a0% of its pixels lie beyond the grey window.`,
      kernel.every((w, i) => w === kernel[8 - i]) ? "Convolution and correlation agree: the filter is its own half turn."
        : `The ${flip.value ? "correlation" : "convolution"} would differ by up to ${difference({ flip: !asked.flip })}.`,
      padding.value !== "zeros" && `With zeros, the outermost ring would differ by up to ${difference({ padding: "zeros" })}.`,
      [...weight, divisor].every(field => field.value && field.validity.valid)
        || "An empty weight counts as 0, an empty divisor as 1, a number out of bounds as the bound.",
    ].filter(sentence => typeof sentence === "string").join(" ");
  }

  draw(position, values, side, black, white, label, caption) {
    const canvas = this.querySelectorAll("canvas")[position], context = canvas.getContext("2d");
    canvas.width = canvas.height = side;
    canvas.setAttribute("aria-label", label);
    canvas.nextElementSibling.textContent = caption;
    const pixels = context.createImageData(side, side);  // levels outside 0 to 255 are clamped, others rounded
    values.forEach((v, i) => pixels.data.set([...Array(3).fill(255 * (v - black) / (white - black)), 255], 4 * i));
    context.putImageData(pixels, 0, 0);
  }
}
customElements.define("kernel-editor", KernelEditor);
