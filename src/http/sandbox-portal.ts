/** The sandbox provider's portal: what an organization has paid, for whoever was given its address, until it expires. */
import type { ServerResponse } from 'node:http';
import { formatMoney } from '../domain/catalog/format-money.ts';
import type { SandboxProvider } from '../payments/sandbox/sandbox-provider.ts';
import type { Payment } from '../persistence/sandbox-portal.ts';
import { escapeHtml, PAGE_HEADERS, renderPage } from './pages.ts';

const PATH = /^\/portal\/sandbox\/([\w.-]{1,200})$/;

export async function serveSandboxPortal(
  provider: SandboxProvider,
  path: string,
  response: ServerResponse,
): Promise<void> {
  const [, token] = PATH.exec(path) ?? [];
  const portal = token === undefined ? null : await provider.portalOf(token);
  if (portal === null) {
    const body = '<h1>No such portal</h1>\n<p>There is no such portal, or it is no longer open: ask for another.</p>';
    response.writeHead(404, PAGE_HEADERS).end(renderPage({ title: 'No such portal', body }));
    return;
  }
  const body = `<p class="brand">Sandbox portal</p>
<h1>${escapeHtml(portal.name)}</h1>
<p>Test payments: no money has moved.</p>
${portal.payments.length === 0 ? '<p class="note">Nothing was bought yet.</p>' : paymentsTable(portal.payments)}`;
  response.writeHead(200, PAGE_HEADERS).end(renderPage({ title: 'Payments', body }));
}

const paymentsTable = (payments: readonly Payment[]): string => `<table>
<caption>The newest purchases</caption>
<thead><tr><th scope="col">Purchase</th><th scope="col">Status</th><th scope="col">Receipt</th><th scope="col" class="number">Price</th></tr></thead>
<tbody>
${payments.map(paymentRow).join('\n')}
</tbody>
</table>`;

/** The receipt's address is told from the portal's, wherever a proxy has put both. */
function paymentRow({ description, status, receiptToken, ...price }: Payment): string {
  const receipt = receiptToken === null ? '' : `<a href="../../receipts/${receiptToken}">Receipt</a>`;
  return (
    `<tr><th scope="row">${escapeHtml(description)}</th><td>${status}</td><td>${receipt}</td>` +
    `<td class="number">${escapeHtml(formatMoney(price))}</td></tr>`
  );
}
