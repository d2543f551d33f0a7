// What an accessibility checker looks at first: names, headings, ids, contrast. Returns complaints.
() => {
  const complaints = [];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const inTerminal = (element) => element.closest(".xterm") !== null;

  const nameOf = (element) => {
    const labelled = (element.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "");
    const labels = [...(element.labels ?? [])].map((label) => label.textContent);
    return [element.getAttribute("aria-label"), ...labelled, ...labels, element.textContent, element.alt].join("").trim();
  };
  for (const element of document.querySelectorAll("a, button, input, select, textarea, dialog, nav, section, [role=region], [role=menu]")) {
    if (shown(element) && !nameOf(element)) complaints.push(`no name: ${element.outerHTML.slice(0, 80)}`);
  }
  for (const image of document.querySelectorAll("img:not([alt])")) complaints.push(`no alt: ${image.src}`);

  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) complaints.push(`id twice: ${id}`);
  for (const element of document.querySelectorAll("[tabindex]")) {
    if (element.tabIndex > 0) complaints.push(`order forced: ${element.outerHTML.slice(0, 80)}`);
  }
  if (!document.documentElement.lang) complaints.push("no language");
  if (document.querySelectorAll("main").length !== 1) complaints.push("not one main");
  const headings = [...document.querySelectorAll("h1, h2, h3")].filter(shown).map((element) => Number(element.tagName[1]));
  if (!document.querySelector("dialog[open]") && headings.filter((level) => level === 1).length !== 1) complaints.push("not one h1");
  headings.forEach((level, at) => at > 0 && level > headings[at - 1] + 1 && complaints.push(`heading skips to ${level}`));

  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const linear = [red, green, blue].map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  for (const element of document.querySelectorAll("body *")) {
    const speaks = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!speaks || !shown(element) || inTerminal(element) || element.closest(".unseen, :disabled")) continue;
    const [one, other] = [luminance(channels(getComputedStyle(element).color)), luminance(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) complaints.push(`contrast ${contrast.toFixed(2)}: ${element.textContent.trim().slice(0, 40)}`);
  }
  return complaints;
}
