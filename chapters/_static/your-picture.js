/* The arithmetic of <your-picture>, which runs in a worker. A picture of several channels is one Float32Array, channel
   after channel and row after row; all are square. A layer of a network is {shape, weight, bias}, as torch orders them. */
class Restore {
  /* Copies of all channels with a rim of zeros, so that no sum below has to ask where the picture ends. */
  static padded(x, side) {
    const channels = x.length / side ** 2, wide = side + 2, result = new Float32Array(channels * wide ** 2);
    for (let c = 0; c < channels; c++) for (let i = 0; i < side; i++)
      result.set(x.subarray((c * side + i) * side, (c * side + i + 1) * side), (c * wide + i + 1) * wide + 1);
    return result;
  }

  /* A 3×3 convolution, Σ_cuv weight[d, c, u, v] x[c, s i + u − 1, s j + v − 1] + bias[d], with stride s. Flat loops over
     rows, one pair of channels after the other; a to i are the nine weights, p, q, r the three rows that they touch. */
  static convolve(x, side, { shape: [outputs, inputs], weight, bias }, s = 1) {
    const padded = Restore.padded(x, side), wide = side + 2, small = side / s, result = new Float32Array(outputs * small ** 2);
    for (let output = 0; output < outputs; output++) {
      result.fill(bias[output], output * small ** 2, (output + 1) * small ** 2);
      for (let input = 0; input < inputs; input++) {
        const k = 9 * (output * inputs + input), a = weight[k], b = weight[k + 1], c = weight[k + 2], d = weight[k + 3],
          e = weight[k + 4], f = weight[k + 5], g = weight[k + 6], h = weight[k + 7], i = weight[k + 8];
        for (let row = 0; row < small; row++) {
          const p = (input * wide + s * row) * wide, q = p + wide, r = q + wide, at = (output * small + row) * small;
          if (s === 1) {  // two of three columns are those of the step before
            let p0 = padded[p], p1 = padded[p + 1], q0 = padded[q], q1 = padded[q + 1], r0 = padded[r], r1 = padded[r + 1];
            for (let j = 0; j < small; j++) {
              const p2 = padded[p + 2 + j], q2 = padded[q + 2 + j], r2 = padded[r + 2 + j];
              result[at + j] += a * p0 + b * p1 + c * p2 + d * q0 + e * q1 + f * q2 + g * r0 + h * r1 + i * r2;
              p0 = p1; p1 = p2; q0 = q1; q1 = q2; r0 = r1; r1 = r2;
            }
          } else for (let j = 0; j < small; j++)
            result[at + j] += a * padded[p + s * j] + b * padded[p + s * j + 1] + c * padded[p + s * j + 2]
              + d * padded[q + s * j] + e * padded[q + s * j + 1] + f * padded[q + s * j + 2]
              + g * padded[r + s * j] + h * padded[r + s * j + 1] + i * padded[r + s * j + 2];
        }
      }
    }
    return result;
  }

  /* The transposed 2×2 convolution of stride 2: each value becomes a square of four, weighted. */
  static enlarge(x, side, { shape: [inputs, outputs], weight, bias }) {
    const large = 2 * side, result = new Float32Array(outputs * large ** 2);
    for (let output = 0; output < outputs; output++) {
      result.fill(bias[output], output * large ** 2, (output + 1) * large ** 2);
      for (let input = 0; input < inputs; input++) {
        const k = 4 * (input * outputs + output), a = weight[k], b = weight[k + 1], c = weight[k + 2], d = weight[k + 3];
        for (let row = 0; row < side; row++) {
          let from = (input * side + row) * side, at = (output * large + 2 * row) * large;
          for (const end = from + side; from < end; from++, at += 2) {
            result[at] += a * x[from], result[at + 1] += b * x[from];
            result[at + large] += c * x[from], result[at + large + 1] += d * x[from];
          }
        }
      }
    }
    return result;
  }

  /* A leaky ReLU in place; of slope 0, a ReLU. */
  static activate(x, slope) {
    for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] *= slope;
    return x;
  }

  static add = (x, z) => x.map((v, i) => v + z[i]);

  /* course.CNN: x_hat = y + f(y). */
  static cnn(y, side, layers) {
    const last = Object.keys(layers).length - 1;
    return Restore.add(y, Object.values(layers).reduce((h, layer, n) =>
      n < last ? Restore.activate(Restore.convolve(h, side, layer), 0) : Restore.convolve(h, side, layer), y));
  }

  /* course.UNet, with its names: encoder E, decoder D. */
  static unet(y, side, layers) {
    const { convolve, enlarge } = Restore, activate = x => Restore.activate(x, 0.1), E = [activate(convolve(y, side, layers.first))];
    const levels = Object.keys(layers).filter(name => name.startsWith("down")).length;
    for (let k = 0; k < levels; k++, side /= 2) E.push(activate(convolve(E[k], side, layers[`down.${k}`], 2)));
    let D = E.pop();
    for (let k = 0; k < levels; k++) {
      D = activate(enlarge(D, side, layers[`up.${k}`]));
      side *= 2;
      const e = E.pop(), both = new Float32Array(D.length + e.length);
      both.set(D), both.set(e, D.length);
      D = activate(convolve(both, side, layers[`join.${k}`]));
    }
    return Restore.add(y, convolve(D, side, layers.last));
  }

  /* A Gaussian blur cut off at three standard deviations, zeros outside: along columns, then along rows. */
  static blur(x, side, sd) {
    const reach = Math.ceil(3 * sd), profile = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sd) ** 2));
    const sum = profile.reduce((a, b) => a + b), result = new Float32Array(x.length), column = new Float32Array(side + 2 * reach);
    for (let i = 0; i < side; i++) {
      for (let k = Math.max(0, reach - i); k <= Math.min(2 * reach, side - 1 - i + reach); k++) {
        const weight = profile[k] / sum, shift = (k - reach) * side;
        for (let at = i * side, end = at + side; at < end; at++) result[at] += weight * x[at + shift];
      }
      column.set(result.subarray(i * side, (i + 1) * side), reach);  // a row, with zeros on both sides
      for (let j = 0; j < side; j++) {
        let value = 0;
        for (let k = 0; k <= 2 * reach; k++) value += profile[k] * column[j + k];
        result[i * side + j] = value / sum;
      }
    }
    return result;
  }

  /* Total variation by Chambolle and Pock's iteration with steps 1 and 1/9, as studies/live_restorers.py has it. */
  static tv(y, side, sd, weight, steps = 100) {
    const clamp = v => v < 0 ? 0 : v > 1 ? 1 : v, n = y.length, q = new Float32Array(n), x = y.map(clamp), bar = x.slice();
    const down = new Float32Array(n), right = new Float32Array(n);  // dual variables of the differences
    for (let step = 0; step < steps; step++) {
      const z = Restore.blur(bar, side, sd);
      for (let at = 0; at < n; at++) {
        q[at] = (9 * q[at] + z[at] - y[at]) / 10;
        const u = down[at] + (at + side < n ? bar[at + side] - bar[at] : 0) / 9;
        const v = right[at] + ((at + 1) % side ? bar[at + 1] - bar[at] : 0) / 9;
        const over = Math.max(1, Math.sqrt(u * u + v * v) / weight);
        down[at] = u / over, right[at] = v / over;
      }
      const back = Restore.blur(q, side, sd);
      for (let at = 0; at < n; at++) {
        const gradient = (at >= side ? down[at - side] : 0) - (at + side < n ? down[at] : 0)
          + (at % side ? right[at - 1] : 0) - ((at + 1) % side ? right[at] : 0);
        const moved = clamp(x[at] - back[at] - gradient);
        bar[at] = 2 * moved - x[at], x[at] = moved;
      }
    }
    return x;
  }

  /* The blurred picture with Gaussian noise, the same at every call: a counter, well mixed, gives the random numbers. */
  static measure(x, side, sd, noise) {
    let counter = 1;
    const uniform = () => {
      let t = counter += 0x6D2B79F5;
      t = Math.imul(t ^ t >>> 15, t | 1);
      t ^= t + Math.imul(t ^ t >>> 7, t | 61);
      return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
    };
    return Restore.blur(x, side, sd).map(v => v + noise * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  /* [name, picture] one after the other, as each is ready. */
  static *all({ x, side, sd, noise, weight, networks }) {
    const y = Restore.measure(x, side, sd, noise);
    yield ["measurement", y];
    yield ["tv", Restore.tv(y, side, sd, weight)];
    yield ["cnn", Restore.cnn(y, side, networks.cnn)];
    yield ["unet", Restore.unet(y, side, networks.unet)];
  }
}

/* <your-picture>: the reader's picture, blurred, with noise, and restored by three methods. Nothing leaves the page. */
class YourPicture extends HTMLElement {
  static home = document.currentScript.src;  // what is loaded when asked for lies beside this script
  static SIDE = 256;
  static MOST = 64_000_000;  // pixels
  static PICTURES = { photograph: "photograph", slice: "chest slice, drawn", text: "text" };
  static SHOWN = { original: "Original", measurement: "Measurement", tv: "Total variation", cnn: "CNN", unet: "UNet" };
  static COUNTS = 0.2;  // dB, the smallest difference of the book's rule
  static USUAL = { blur: "1.5", noise: "0.02" };  // of the training
  static FAILS = {  // name of the button: what it sets, and where to look
    "Text": { picture: "text" },
    "Other noise": { picture: "photograph", noise: "0.08" },
    "Another blur": { picture: "photograph", blur: "0.8" },
  };

  /* What cannot be read, as one sentence, or "": by the file's first bytes, before any of its pixels is decoded. */
  static async refusal(file) {
    const read = await file.slice(0, 2 ** 24).arrayBuffer().catch(() => null);
    if (!read) return "cannot be read, wanted a file";
    const bytes = new DataView(read), size = bytes.byteLength;
    const wanted = `${file.size} bytes that are no picture this page can read, wanted PNG or JPEG with 8 bits per channel`;
    let width, height, bits, frames = 1, inks = 0;
    try {
      if (bytes.getUint32(0) === 0x89504E47) {  // PNG: its header, then chunks until that of the pixels
        [width, height, bits] = [bytes.getUint32(16), bytes.getUint32(20), bytes.getUint8(24)];
        for (let at = 8; at + 12 < size && bytes.getUint32(at + 4) !== 0x49444154; at += 12 + bytes.getUint32(at))
          if (bytes.getUint32(at + 4) === 0x6163544C) frames = bytes.getUint32(at + 8);  // acTL, of an animation
      } else if (bytes.getUint16(0) === 0xFFD8) {  // JPEG: segments, each after any number of bytes 0xFF, until the one that begins a frame
        let at = 2;
        for (let mark; ![0xC0, 0xC1, 0xC2].includes(mark = bytes.getUint8(at + 1));) at += mark === 0xFF ? 1 : 2 + bytes.getUint16(at + 2);
        [bits, height, width, inks] = [bytes.getUint8(at + 4), bytes.getUint16(at + 5), bytes.getUint16(at + 7), bytes.getUint8(at + 9)];
      } else return wanted;
    } catch { return wanted; }  // it ends too early
    if (width * height > YourPicture.MOST) return `too large (${width}×${height} pixels), wanted at most ${YourPicture.MOST.toLocaleString("en")} pixels`;
    if (Math.min(width, height) < YourPicture.SIDE) return `${width}×${height} pixels, wanted ${YourPicture.SIDE} or more on each side`;
    if (bits > 8) return `${bits} bits per channel, wanted 8`;
    if (frames > 1) return `${frames} pages or frames, wanted a single picture`;
    return inks === 4 ? "pixels of four inks (CMYK), wanted grey levels or red, green and blue" : "";
  }

  /* The middle square of a picture in grey, 256 pixels a side, levels in [0, 1]. */
  static async grey(blob) {
    const picture = await createImageBitmap(blob).catch(() => { throw Error("damaged picture, wanted a whole PNG or JPEG"); });
    const square = Math.min(picture.width, picture.height);
    let from = picture, left = (picture.width - square) / 2, top = (picture.height - square) / 2, span = square, context;
    for (let side = YourPicture.SIDE * 2 ** Math.floor(Math.log2(square / YourPicture.SIDE)); side >= YourPicture.SIDE; side /= 2) {
      const canvas = document.createElement("canvas");  // half as large each time, the mean of 2×2 pixels: what is too fine turns grey
      canvas.width = canvas.height = side;
      context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(from, left, top, span, span, 0, 0, side, side);
      [from, left, top, span] = [canvas, 0, 0, side];
    }
    const levels = context.getImageData(0, 0, YourPicture.SIDE, YourPicture.SIDE).data;
    return Float32Array.from({ length: YourPicture.SIDE ** 2 }, (_, i) => {
      if (levels[4 * i + 3] < 255) throw Error("has transparent pixels, wanted an opaque picture");
      return (0.299 * levels[4 * i] + 0.587 * levels[4 * i + 1] + 0.114 * levels[4 * i + 2]) / 255;
    });
  }

  /* Networks, pictures and weights of total variation, loaded once. A script can be read from file:// too. */
  static async load() {
    if (!YourPicture.data) await new Promise(resolve => {
      const script = document.createElement("script");
      script.src = new URL("your-picture-data.js", YourPicture.home);
      script.onload = script.onerror = () => resolve(script.remove());
      document.head.append(script);
    });
    const { pictures, networks, weights } = YourPicture.data;  // an error, too, if a server sent something else
    return YourPicture.loaded ??= {
      weights, pictures: Object.fromEntries(Object.entries(pictures).map(([name, png]) =>
        [name, YourPicture.grey(new Blob([YourPicture.bytes(png)], { type: "image/png" }))])),
      networks: Object.fromEntries(Object.entries(networks).map(([name, layers]) => [name, Object.fromEntries(
        layers.map(([layer, shape, weight, bias]) => [layer, { shape, weight: YourPicture.floats(weight), bias: YourPicture.floats(bias) }]))])),
    };
  }

  static bytes = text => Uint8Array.from(atob(text), byte => byte.charCodeAt(0));

  /* Numbers of 16 bits, the sign, five of the exponent, ten of the fraction, as floats. */
  static floats = text => Float32Array.from(new Uint16Array(YourPicture.bytes(text).buffer), h => {
    const exponent = h >> 10 & 31, fraction = (h & 1023) / 1024;
    return (h >> 15 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
  });

  static psnr(a, b) {  // of a picture clamped to [0, 1], as on the screen
    return -10 * Math.log10(a.reduce((sum, v, i) => sum + (Math.min(Math.max(v, 0), 1) - b[i]) ** 2, 0) / b.length);
  }

  connectedCallback() {
    if (document.readyState === "loading")  // the sentence for pages without scripts would still be added at the end
      return document.addEventListener("DOMContentLoaded", () => this.connectedCallback(), { once: true });
    if (this.fields) return;  // moved within the page
    const options = values => Object.entries(values).map(([value, text]) => `<option value="${value}">${text}</option>`).join("");
    const numbers = (values, usual, unit) => options(Object.fromEntries(values.map(v => [v, `${v}${unit}${v === usual ? " (trained)" : ""}`])));
    const { USUAL, SHOWN, FAILS, PICTURES } = YourPicture, figures = Object.entries(SHOWN).map(([name, text]) =>
      `<figure data-name="${name}"><canvas width="256" height="256"></canvas><figcaption>${text}</figcaption></figure>`);
    const printed = this.querySelector("img");  // in place of the pictures, as long as nothing is restored
    this.innerHTML = `<form class="live-controls" autocomplete="off">
      <label>Picture <select name="picture">${options(PICTURES)}</select></label>
      <label>A file of yours <input type="file" name="file" accept="image/png,image/jpeg"></label>
      <label>Blur <select name="blur">${numbers(["0.8", "1.5", "2.5"], USUAL.blur, " pixels")}</select></label>
      <label>Noise <select name="noise">${numbers(["0.005", "0.02", "0.08"], USUAL.noise, "")}</select></label>
      <p class="live-buttons"><button>Restore</button> <span>Where it fails:</span>
      ${Object.keys(FAILS).map(name => `<button type="button" value="${name}">${name}</button>`).join(" ")}</p></form>
      <div class="live-pictures"><p class="live-said" aria-live="polite">Choose, and press Restore. The networks are loaded then, once: 0.4 MB.</p>
      ${figures.join("")}</div>`;
    if (printed) this.append(printed);
    this.fields = this.querySelector("form").elements;
    Object.assign(this.fields.blur, { value: USUAL.blur }), Object.assign(this.fields.noise, { value: USUAL.noise });
    this.addEventListener("submit", event => (event.preventDefault(), this.turn?.reads || this.restore()));  // a file restores itself
    this.addEventListener("change", ({ target: { type, name, files } }) => {
      if (type === "file") files[0] && this.take(files[0]);
      else if (this.turn?.reads ? name === "picture" : this.turn || this.pictures) this.restore();
    });
    this.addEventListener("click", ({ target }) => {
      if (!FAILS[target.value]) return;
      for (const [name, value] of Object.entries({ ...USUAL, ...FAILS[target.value] })) this.fields[name].value = value;
      this.restore();
    });
    this.addEventListener("dragover", event => event.preventDefault());
    this.addEventListener("drop", event => {
      event.preventDefault();
      const file = event.dataTransfer.files[0];
      file ? this.take(file) : this.finish("What was dropped is no file, wanted PNG or JPEG with 8 bits per channel.");
    });
  }

  say(text) { this.querySelector(".live-said").textContent = text; }

  /* A new turn, reading a file or restoring: what is under way is ended, and counts no more. */
  begin(text, reads = false) {
    this.worker?.terminate();
    this.setAttribute("aria-busy", "true");
    this.say(text);
    return this.turn = { reads };
  }

  /* The end of a turn: what was found, or one sentence on why nothing was. */
  finish(text) {
    this.worker?.terminate();
    this.turn = null;
    this.removeAttribute("aria-busy");
    this.say(text);
  }

  /* A file of the reader's as the picture to restore. */
  async take(file) {
    const turn = this.begin(`Reading ${file.name}…`, true);
    let own, wrong;
    try {
      wrong = await YourPicture.refusal(file);
      if (!wrong) own = await YourPicture.grey(file);
    } catch (error) { wrong = error.message; }
    if (turn !== this.turn) return;  // another choice was made meanwhile
    if (wrong) {
      this.fields.file.value = "";  // so that the same file can be chosen again
      return this.finish(`${file.name}: ${wrong}.`);
    }
    const { picture } = this.fields;
    Object.assign(this, { own, called: file.name });
    if (!picture.querySelector("[value=own]")) picture.add(new Option("your own", "own"));
    picture.value = "own";
    this.restore();
  }

  /* Begin anew with what is chosen. */
  async restore() {
    const { picture: { value: picture }, blur: { value: blur }, noise: { value: noise } } = this.fields, turn = this.begin("Restoring…");
    let fails = "could not be loaded";
    try {
      const { pictures, weights, networks } = await YourPicture.load(), x = picture === "own" ? this.own : await pictures[picture];
      if (turn !== this.turn) return;
      fails = "cannot be run by this browser";
      this.clear();
      this.show("original", x, picture);
      YourPicture.source ??= URL.createObjectURL(new Blob([`${Restore}\nonmessage = ({ data }) => { for (const found of Restore.all(data)) postMessage(found); };`]));
      this.worker = new Worker(YourPicture.source);
      this.worker.onerror = () => this.finish(`The networks ${fails}.`);
      this.worker.onmessage = ({ data: [name, found] }) => {
        this.show(name, found, picture);
        if (name === "unet") this.conclude(picture, blur, noise);
      };
      this.worker.postMessage({ x, side: YourPicture.SIDE, sd: +blur, noise: +noise, weight: weights[noise], networks });
    } catch { if (turn === this.turn) this.finish(`The networks ${fails}.`); }
  }

  /* No pictures: neither the printed one, nor those of another choice. */
  clear() {
    this.querySelector(":scope > img")?.remove();
    this.pictures = {};
    for (const canvas of this.querySelectorAll("canvas")) {
      canvas.width = YourPicture.SIDE;  // which empties it
      ["role", "aria-label"].forEach(name => canvas.removeAttribute(name));
      canvas.nextElementSibling.textContent = YourPicture.SHOWN[canvas.parentNode.dataset.name];
    }
  }

  show(name, levels, picture) {
    this.pictures[name] = levels;
    const canvas = this.querySelector(`[data-name=${name}] canvas`), context = canvas.getContext("2d"), pixels = context.createImageData(256, 256);
    levels.forEach((v, i) => pixels.data.set([255 * v, 255 * v, 255 * v, 255], 4 * i));  // clamped to 0 to 255, and rounded
    context.putImageData(pixels, 0, 0);
    const text = YourPicture.SHOWN[name] + (name === "original" ? "" : `: ${YourPicture.psnr(levels, this.pictures.original).toFixed(1)} dB`);
    canvas.nextElementSibling.textContent = text;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${text}; picture: ${YourPicture.PICTURES[picture] ?? "your own"}`);
  }

  /* What is to be seen, and which methods are best. */
  conclude(picture, blur, noise) {
    const { psnr, COUNTS, USUAL, SHOWN } = YourPicture, { original, measurement, ...restored } = this.pictures, own = psnr(measurement, original);
    const values = Object.entries(restored).map(([name, x]) => [SHOWN[name], psnr(x, original)]).sort(([, a], [, b]) => b - a);
    const best = values.filter(([, v]) => v >= values[0][1] - COUNTS).map(([name, v]) => `${name}, ${v.toFixed(1)} dB`);
    const names = which => values.filter(([, v]) => which(v - own)).map(([name]) => name).join(" and ");
    const level = names(gain => Math.abs(gain) < COUNTS), worse = names(gain => gain <= -COUNTS);
    this.finish([
      picture === "own" && `Restored: ${this.called}.`,
      +noise > USUAL.noise && "The noise is four times that of the training: look at flat areas, where the networks sharpen it as if it were detail.",
      +noise < USUAL.noise && "The noise is a quarter of that of the training: total variation is told so, the networks are not.",
      +blur < USUAL.blur && "The blur is weaker than in the training: look at edges, where the networks undo more blur than there is and leave rims.",
      +blur > USUAL.blur && "The blur is stronger than in the training: the networks undo a part of it and leave the rest.",
      picture === "text" && "No letters were among the training pictures: look at the smallest ones, and try to tell a 3 from an 8 before you compare with the original.",
      `${best[1] ? `Best, within ${COUNTS} dB` : "Best"}: ${best.join("; ")}; the measurement has ${own.toFixed(1)} dB.`,
      level && `Level with doing nothing: ${level}.`,
      worse && `Worse than doing nothing: ${worse}.`,
    ].filter(Boolean).join(" "));
  }
}
customElements.define("your-picture", YourPicture);
