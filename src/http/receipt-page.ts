/**
 * Receipts for people: a page to read and to print. Whoever has its URL may open it, for the token in it opens this receipt
 * and nothing else; the URL itself is given to those who may read the purchase.
 */
import type { ServerResponse } from 'node:http';
import { formatCredits, ZERO } from '../domain/credits/micros.ts';
import { formatMoney } from '../domain/money/format-money.ts';
import { receiptNumber } from '../domain/purchases/receipt.ts';
import { formatInstant, type Instant } from '../domain/time/instant.ts';
import { encodeId } from '../graphql/ids.ts';
import type { Sql } from '../persistence/connection.ts';
import { findReceipt, type Receipt, type ReceiptEntry } from '../persistence/payments/receipts.ts';
import { escapeHtml, PAGE_HEADERS, renderPage } from './pages.ts';

const PATH = /^\/receipts\/([0-9a-f]{64})$/;

export async function serveReceipt(sql: Sql, path: string, response: ServerResponse): Promise<void> {
  const [, token] = PATH.exec(path) ?? [];
  const receipt = token === undefined ? null : await findReceipt(sql, token);
  if (receipt === null) {
    const body = '<h1>No such receipt</h1>\n<p>There is no such receipt.</p>';
    response.writeHead(404, PAGE_HEADERS).end(renderPage({ title: 'No such receipt', body }));
    return;
  }
  const title = `Receipt ${receiptNumber(receipt.issuer, receipt.sequence)}`;
  response.writeHead(200, PAGE_HEADERS).end(renderPage({ title, body: receiptBody(receipt, title) }));
}

function receiptBody(receipt: Receipt, title: string): string {
  const { organization, description, credits, bonusCredits, entries } = receipt;
  const total = formatMoney(receipt);
  const lines = [
    // What is bought is a plan where it names no credits of its own.
    [credits > ZERO ? `${formatCredits(credits)} credits` : description, total],
    ...(bonusCredits > ZERO ? [[`${formatCredits(bonusCredits)} bonus credits`, 'free']] : []),
  ];
  return `<p class="brand">Receipt</p>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(description)}</p>
${statusNote(receipt)}
<table>
<caption>About this purchase</caption>
<tbody>
${factRow('Organization', `${organization.name} (${organization.slug})`)}
${factRow('Bought by', receipt.buyer)}
${factRow('Purchase', encodeId('Purchase', receipt.purchaseId))}
${receipt.invoiceId === null ? '' : factRow('Invoice', receipt.invoiceId)}
${factRow('Paid', formatInstant(receipt.paidAt))}
${factRow(`Paid, in ${organization.timeZone}`, localTime(receipt.paidAt, organization.timeZone))}
</tbody>
</table>
<table>
<caption>What was bought</caption>
<thead><tr><th scope="col">Item</th><th scope="col" class="number">Price</th></tr></thead>
<tbody>
${lines.map(([item = '', price = '']) => row(item, price)).join('\n')}
</tbody>
<tfoot><tr><th scope="row">Total</th><td class="number">${escapeHtml(total)}</td></tr></tfoot>
</table>
<p>Taxes, where they are due, stand on the invoice of the payment provider.</p>
<table>
<caption>Ledger entries of this purchase</caption>
<thead><tr><th scope="col">Entry</th><th scope="col">Reason</th><th scope="col">Transaction</th><th scope="col" class="number">Credits</th></tr></thead>
<tbody>
${entries.map(entryRow).join('\n')}
</tbody>
</table>`;
}

const STATUS_NOTES: Readonly<Partial<Record<Receipt['status'], string>>> = {
  REFUNDED: 'The money of this purchase was given back.',
  DISPUTED: 'The payment of this purchase is disputed.',
};

function statusNote({ status }: Receipt): string {
  const note = STATUS_NOTES[status];
  return note === undefined ? '' : `<p class="note off" role="status">${note}</p>`;
}

const factRow = (name: string, value: string): string =>
  `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`;

const row = (item: string, price: string): string =>
  `<tr><th scope="row">${escapeHtml(item)}</th><td class="number">${escapeHtml(price)}</td></tr>`;

const entryRow = ({ sequence, reasonCode, transactionId, amount }: ReceiptEntry): string =>
  `<tr><th scope="row">${sequence}</th><td>${escapeHtml(reasonCode)}</td><td>${escapeHtml(encodeId('Transaction', transactionId))}</td>` +
  `<td class="number">${formatCredits(amount)}</td></tr>`;

const localTime = (at: Instant, timeZone: string): string =>
  new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'long', timeStyle: 'long' }).format(new Date(at));
