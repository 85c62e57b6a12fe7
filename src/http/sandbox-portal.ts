/**
 * The sandbox provider's portal: what an organization has paid and the card that it is charged by, for whoever was given its
 * address, until it expires.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatMoney } from '../domain/money/format-money.ts';
import type { SandboxPortal, SandboxProvider } from '../payments/sandbox/sandbox-provider.ts';
import type { Payment } from '../persistence/payments/sandbox-portal.ts';
import { readBody } from './body.ts';
import { escapeHtml, PAGE_HEADERS, renderPage } from './pages.ts';
import { cardChoice, MAX_FORM_BYTES, namedCard, unknownCardBody } from './sandbox-cards.ts';

const PATH = /^\/portal\/sandbox\/([\w.-]{1,200})(\/card)?$/;

export async function serveSandboxPortal(
  provider: SandboxProvider,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, token, card] = PATH.exec(path) ?? [];
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (token === undefined || (card === undefined ? !isRead : request.method !== 'POST')) return notOpen(response);
  return card === undefined ? showPortal(provider, token, response) : changeCard(provider, token, request, response);
}

async function showPortal(provider: SandboxProvider, token: string, response: ServerResponse): Promise<void> {
  const portal = await provider.portalOf(token);
  if (portal === null) return notOpen(response);
  answer(response, 200, 'Payments', portalBody(portal, token));
}

/** The page is shown again afterwards, so that loading it anew changes nothing. */
async function changeCard(
  provider: SandboxProvider,
  token: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const card = namedCard(await readBody(request, MAX_FORM_BYTES));
  if (card === null || card === 'unknown') return answer(response, 400, 'Unknown card', unknownCardBody());
  if (!(await provider.changeCard(token, card))) return notOpen(response);
  response.writeHead(303, { location: `../${token}`, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
  response.end();
}

const portalBody = (
  { name, card, payments }: SandboxPortal,
  token: string,
): string => `<p class="brand">Sandbox portal</p>
<h1>${escapeHtml(name)}</h1>
<p>Test payments: no money has moved.</p>
<h2>Card</h2>
<p>Charged while nobody is there to pay: <code>${card}</code>.</p>
<form method="post" action="${token}/card">${cardChoice('Charge this card', card)}<button class="primary">Change card</button></form>
<h2>Payments</h2>
${payments.length === 0 ? '<p class="note">Nothing was bought yet.</p>' : paymentsTable(payments)}`;

function notOpen(response: ServerResponse): void {
  const body = '<h1>No such portal</h1>\n<p>There is no such portal, or it is no longer open: ask for another.</p>';
  answer(response, 404, 'No such portal', body);
}

function answer(response: ServerResponse, status: number, title: string, body: string): void {
  response.writeHead(status, PAGE_HEADERS).end(renderPage({ title, body }));
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
