/** The frame of the few HTML pages that the gateway serves itself: plain, accessible, without scripts. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

const STYLE = `
  :root { color-scheme: light dark; --accent: #1b5e4b; --line: #767676; --off: #8a4b00; }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1.25rem; }
  h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
  h2 { font-size: 1.15rem; margin: 1.5rem 0 0; }
  caption { text-align: left; font-size: .9rem; }
  .brand { color: var(--accent); font-weight: 600; letter-spacing: .04em; }
  .amount { font-size: 2rem; font-weight: 600; margin: 1rem 0; }
  .note { border-left: 4px solid var(--accent); padding: .5rem 1rem; background: #8881; }
  .note.off { border-color: var(--off); }
  form { display: inline; }
  fieldset { border: 1px solid var(--line); border-radius: .4rem; margin: 0 0 1rem; padding: .5rem 1rem; }
  label { display: flex; align-items: baseline; gap: .6rem; padding: .35rem 0; cursor: pointer; }
  input { accent-color: var(--accent); flex: none; }
  button { font: inherit; padding: .6rem 1.25rem; margin: 0 .5rem .5rem 0; border: 1px solid var(--line); border-radius: .4rem; cursor: pointer; background: transparent; color: inherit; }
  button.primary { background: var(--accent); border-color: var(--accent); color: #fff; }
  button:focus-visible, a:focus-visible, input:focus-visible { outline: 3px solid #e6a700; outline-offset: 2px; }
  table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
  th, td { text-align: left; padding: .4rem .5rem; border-bottom: 1px solid var(--line); }
  td { overflow-wrap: anywhere; }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  @media print { :root { color-scheme: light; } body { margin: 0; max-width: none; } tr { break-inside: avoid; } }
  @media (prefers-color-scheme: dark) { :root { --accent: #4fbf9f; --off: #e0a050; } button.primary { color: #06231a; } }
`;

export interface HtmlPage {
  readonly title: string;
  /** HTML; whatever comes from data is escaped by the caller. */
  readonly body: string;
}

export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
} as const;

export function renderPage({ title, body }: HtmlPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Purser</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}
