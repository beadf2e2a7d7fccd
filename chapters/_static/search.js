/* The search page, in place of parts of Sphinx's: numbers are words, excerpts come from search-texts.js, and the words
   to mark on a page travel in its link instead of staying behind in the browser. */
let loading;
const load = () => loading ??= new Promise(done => {
  const script = document.createElement("script");
  script.onload = () => done(searchTexts);
  script.onerror = () => done({});
  script.src = "_static/search-texts.js";
  document.head.append(script);
});
window.fetch = async address => ({ text: async () => (await load())[address.replace(/^\.\/|\.html$/g, "")] });

Search._parseQuery = query => {
  const stemmer = new Stemmer();
  const isWord = word => !stopwords.includes(word) && !(stemmer.stemWord(word) in {});  // as "constructor" is
  const words = new Set(splitQuery(query.toLowerCase()).filter(isWord));
  const stems = new Set([...words].map(word => stemmer.stemWord(word)));
  DOCUMENTATION_OPTIONS.LINK_SUFFIX = `.html?highlight=${encodeURIComponent([...words].join(" "))}`;
  return [query, stems, new Set(), words, words];
};

// The first 200 characters with as many of the words as any such stretch has, and some before them
Search.makeSearchSummary = (text, stems) => {
  const wanted = new RegExp(`(?<![\\p{L}\\p{N}.])(?:${[...stems].map(_escapeRegExp).join("|")})`, "giu");
  const found = [...text.matchAll(wanted)].map(({ 0: word, index }) => [index, word.toLowerCase()]);
  const inStretch = ([start]) => new Set(found.flatMap(([at, word]) => at >= start && at < start + 200 ? word : [])).size;
  const [start] = found.reduce((best, next) => inStretch(next) > inStretch(best) ? next : best, found[0] ?? [0]);
  const from = start < 60 ? 0 : text.indexOf(" ", start - 60) + 1, end = text.indexOf(" ", from + 260);
  const summary = document.createElement("p");
  summary.className = "context";
  const shown = (from ? "… " : "") + text.slice(from, end < 0 ? text.length : end) + (end < 0 ? "" : " …");
  let last = 0;
  for (const { 0: word, index } of shown.matchAll(new RegExp(`${wanted.source}\\p{L}*`, "giu"))) {  // noise, noisy
    const mark = Object.assign(document.createElement("span"), { className: "highlighted", textContent: word });
    summary.append(shown.slice(last, index), mark);
    last = index + word.length;
  }
  summary.append(shown.slice(last));
  return summary;
};
