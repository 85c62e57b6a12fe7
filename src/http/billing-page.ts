/** What `billingUrl` points at: the plans and packages on sale, and how to buy them. */
import type { Catalog, Plan } from '../domain/catalog/catalog.ts';
import { formatCredits, type Micros } from '../domain/credits/micros.ts';
import { formatMoney } from '../domain/money/format-money.ts';
import { cheapestFirst } from '../domain/money/money.ts';
import type { Package } from '../domain/purchases/package.ts';
import { escapeHtml, renderPage } from './pages.ts';

const PERIOD = { DAY: 'a day', MONTH: 'a month', YEAR: 'a year' } as const;

export function billingPage({ plans, packages }: Catalog): string {
  return renderPage({
    title: 'Plans and packages',
    body: `<p class="brand">Purser</p>
<h1>Plans and packages</h1>
<p>An owner of your organization buys credits in the product that sent you here; it asks this gateway with the
mutations <code>purchasePackage</code> and <code>selectPlan</code>.</p>
<h2>Packages</h2>
${table('Credits bought once', ['Package', '#Price', '#Credits', '#Bonus'], cheapestFirst(packages).map(packageRow))}
<h2>Plans</h2>
${table('Credits that come by themselves', ['Plan', '#Price', 'Credits', 'Top-ups', 'Includes'], cheapestFirst(plans).map(planRow))}`,
  });
}

const packageRow = (offer: Package): string[] => [
  escapeHtml(offer.name),
  formatMoney(offer.price),
  grouped(offer.credits),
  grouped(offer.bonusCredits),
];

const planRow = (plan: Plan): string[] => [
  escapeHtml(plan.name),
  `${formatMoney(plan.price)} ${PERIOD[plan.interval]}`,
  plan.allowances.map(({ credits, interval }) => `${grouped(credits)} ${PERIOD[interval]}`).join(', '),
  plan.topUp === null ? '–' : `${grouped(plan.topUp.increment)} credits for ${formatMoney(plan.topUp.unitPrice)}`,
  escapeHtml(plan.features.join(', ')),
];

/** Columns whose heading begins with # hold numbers. Cells are HTML. */
function table(caption: string, headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const kind = (index: number) => (headings[index]?.startsWith('#') ? ' class="number"' : '');
  const head = headings.map((text, index) => `<th scope="col"${kind(index)}>${text.replace('#', '')}</th>`);
  const body = rows.map((cells) => `<tr>${cells.map((cell, index) => `<td${kind(index)}>${cell}</td>`).join('')}</tr>`);
  return `<table><caption>${caption}</caption><thead><tr>${head.join('')}</tr></thead>
<tbody>${body.join('\n')}</tbody></table>`;
}

/** With a comma at every thousand of the whole credits. */
function grouped(amount: Micros): string {
  const [whole = '', ...fraction] = formatCredits(amount).split('.');
  return [whole.replace(/\B(?=(?:\d{3})+$)/g, ','), ...fraction].join('.');
}
