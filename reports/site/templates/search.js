// Sections that contain every word of a query; those that have it in their heading first.
function find(query, sections) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean), phrase = words.join(" "), found = [];
  if (!words.length) return found;
  sections.forEach(([url, page, heading, text], position) => {
    const title = (page + " " + heading).toLowerCase(), body = text.toLowerCase();
    if (!words.every(word => title.includes(word) || body.includes(word))) return;
    const score = 8 * (heading || page).toLowerCase().includes(phrase) + 4 * title.includes(phrase)
      + 3 * body.includes(phrase) + words.filter(word => title.includes(word)).length;
    found.push({url, page, heading, text, score, position});
  });
  return found.sort((one, other) => other.score - one.score || one.position - other.position);
}

// The part of a text around the first place where a query, or else its first word, is found.
function excerpt(text, query) {
  const lower = text.toLowerCase(), words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const at = [words.join(" "), ...words].map(part => lower.indexOf(part)).find(place => place >= 0) ?? 0;
  const start = at < 80 ? 0 : text.indexOf(" ", at - 80) + 1, space = text.indexOf(" ", at + 160);
  const end = space < 0 ? text.length : space;  // within a word the cut could halve a letter of two units, such as 𝔼
  return (start ? "… " : "") + text.slice(start, end) + (end < text.length ? " …" : "");
}

function show(query) {
  const found = find(query, SECTIONS), list = document.getElementById("results");
  document.getElementById("count").textContent = !query.trim() ? ""
    : !found.length ? "Nothing was found." : `${found.length} ${found.length == 1 ? "section" : "sections"}`;
  list.replaceChildren(...found.slice(0, 100).map(({url, page, heading, text}) => {
    const item = document.createElement("li"), link = document.createElement("a"), said = document.createElement("p");
    link.href = url; link.textContent = heading ? `${page}: ${heading}` : page;
    said.textContent = excerpt(text, query);
    item.append(link, said);
    return item;
  }));
}

if (typeof document !== "undefined") {
  const box = document.querySelector("main input[type=search]");
  box.value = new URLSearchParams(location.search).get("q") ?? "";
  box.addEventListener("input", () => show(box.value));
  show(box.value);
}
