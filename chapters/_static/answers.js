/* <answer-check>: a field that judges as course.check does. */
const kept = () => { try { return JSON.parse(localStorage.getItem("answers")) ?? {}; } catch { return {}; } };

class AnswerCheck extends HTMLElement {
  static value(text, names = {}) {
    const tokens = text.match(/(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[a-z]+\d*|\S/gi) ?? [];
    let at = 0, v;
    const take = sign => tokens[at] === sign && ++at;
    const total = () => {
      let v = product();
      while (/^[-+]/.test(tokens[at])) v += take("+") ? product() : take("-") && -product();
      return v;
    };
    const product = () => {
      let v = factor();
      while (/^[*/(a-z]/i.test(tokens[at] ?? "")) v = take("/") ? v / factor() : (take("*"), v * factor());
      return v;
    };
    const factor = () => take("-") ? -factor() : take("+") ? factor() : power(atom());
    const power = v => take("^") ? v ** factor() : v;
    const atom = () => {
      if (take("(")) return v = total(), take(")") ? v : NaN;
      const token = tokens[at++];
      return names[token] ?? (/^\.?\d/.test(token) ? +token : NaN);
    };
    v = total();
    return at === tokens.length ? v : NaN;
  }

  static readings(text, kind, names) {
    for (const s of ["²^2", "³^3", "½1/2", "÷/", "·*", "⋅*", "−-", "–-", "ℓl"]) text = text.replaceAll(s[0], s.slice(1));
    text = text.replaceAll("**", "^").trim().replace(/(?<=\d)[\s’'](?=\d{3}(?!\d))|(?<=[a-z])_(?=\w)/gi, "");
    if (/^\d{1,3}(\.\d{3}){2,}$/.test(text)) text = text.replaceAll(".", "");
    text = text.replace(/^.*[=<>≤≥≈]/, "");
    const { value } = AnswerCheck;
    let found;
    if (kind === "list") {
      text = text.replace(/^\D*\(|[^\d()]*$|[[\](){}]/g, "");
      found = [(text.includes(";") ? text.replaceAll(",", ".").split(";") : text.split(/\s*[,×x*]\s*|\s+/)).map(value)];
    } else if (kind === "formula") found = [[0, 1, 2].map(k => value(text, Object.fromEntries(names.map((n, i) => [n, 1.3 + .7 * i + .37 * k * (i + 1)]))))];
    else {
      if (kind === "number") text = text.replace(/(?<=[\d)])\s*(%|per ?cent).*/, "/100");
      text = text.replace(/(?<=[\d)])\s*[^\d()\s/^*+-][^\d()]*$/, "").replaceAll("×", "*");
      found = [text.replaceAll(",", "."), text.replace(/,(?=\d{3}(?!\d))/g, "")].map(text => [value(text)]);
    }
    return found.filter(one => one.every(Number.isFinite));
  }

  connectedCallback() {
    if (this.form) return;
    this.table = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(this.dataset.table), c => c.charCodeAt())));
    const asked = `${this.id}-asked`, items = [...this.querySelectorAll("li")], form = this.form = document.createElement("form");
    this.querySelector("p").id = asked;
    form.innerHTML = (items.length ? `<fieldset aria-labelledby="${asked}">${items.map((item, i) =>
      `<label><input type="radio" name="said" value="${"abcdefgh"[i]}"> <span>${item.firstElementChild.innerHTML}</span></label>`).join("")}</fieldset>`
      : `<label>Your answer <input name="said" maxlength="99" autocomplete="off" autocapitalize="off" aria-describedby="${asked}"></label>`)
      + `<button>Check</button><p class="answer-said" aria-live="polite"></p>`;
    this.append(form);
    const field = form.elements.said, show = () => {
      const said = field.value.trim(), [right, words] = said ? this.judge(said) : [, "No answer is given yet."];
      this.classList.toggle("right", !!right);
      form.lastChild.textContent = words;
      return said || undefined;
    };
    form.onsubmit = () => {
      localStorage.setItem("answers", JSON.stringify({ ...kept(), [this.id]: show() }));
      return false;
    };
    if (field.value = kept()[this.id] ?? "") show();
  }

  judge(text) {
    const [kind, names, right, misses, why, first, like] = this.table, choice = "abcdefgh".indexOf(text);
    let good = choice === right, hint = misses[choice];
    if (kind !== "choice") {
      const found = AnswerCheck.readings(text, kind, names);
      if (!found.length) return [false, `This cannot be read as ${like}.`];
      const is = wanted => found.some(one => one.length === wanted.length && wanted.every(([v, near], i) => Math.abs(one[i] - v) <= near));
      good = is(right);
      hint = misses.find(([miss]) => is(miss))?.[1];
    }
    return [good, [good ? "Right." : first ? "Not so." : "Not yet.", !good && hint, (good || first) && why].filter(Boolean).join(" ")];
  }
}
customElements.define("answer-check", AnswerCheck);
