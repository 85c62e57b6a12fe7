/** What `billingUrl` points at: the plans and packages on sale, and how to buy them. */
import { type Catalog, cheapestFirst } from '../domain/catalog/catalog.ts';
import { formatMoney } from '../domain/catalog/format-money.ts';
import { formatCredits } from '../domain/credits/micros.ts';
import { escapeHtml, renderPage } from './pages.ts';

export function billingPage({ plans, packages }: Catalog): string {
  const planRows = cheapestFirst(plans).map(
    (plan) => `<tr><td>${escapeHtml(plan.name)}</td><td class="number">${formatMoney(plan.price)}</td>
<td>${escapeHtml(plan.features.join(', '))}</td></tr>`,
  );
  const packageRows = cheapestFirst(packages).map(
    (offer) => `<tr><td>${escapeHtml(offer.name)}</td><td class="number">${formatMoney(offer.price)}</td>
<td class="number">${formatCredits(offer.credits)}</td><td class="number">${formatCredits(offer.bonusCredits)}</td></tr>`,
  );
  return renderPage({
    title: 'Plans and packages',
    body: `<p class="brand">Purser</p>
<h1>Plans and packages</h1>
<p>An owner of your organization buys credits in the product that sent you here; it asks this gateway with the
mutation <code>purchasePackage</code>.</p>
<h2>Packages</h2>
<table><thead><tr><th>Package</th><th class="number">Price</th><th class="number">Credits</th><th class="number">Bonus</th></tr></thead>
<tbody>${packageRows.join('\n')}</tbody></table>
<h2>Plans</h2>
<table><thead><tr><th>Plan</th><th class="number">Price</th><th>Includes</th></tr></thead>
<tbody>${planRows.join('\n')}</tbody></table>`,
  });
}
