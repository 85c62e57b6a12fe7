/**
 * The sandbox provider's checkout page: Pay, Decline, Cancel. The end of a checkout is reported to the gateway by a signed
 * event, before the page answers; asking again reports the same end again and shows the same page.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatMoney } from '../domain/catalog/format-money.ts';
import type { SandboxProvider } from '../payments/sandbox/sandbox-provider.ts';
import type { SandboxCheckout, SandboxOutcome } from '../persistence/sandbox-checkouts.ts';
import { escapeHtml, PAGE_HEADERS, renderPage } from './pages.ts';

/** Hands a signed event to the gateway's webhook, as the network would; the HTTP status that it answers. */
export type DeliverEvent = (headers: Readonly<Record<string, string>>, body: string) => Promise<number>;

const PATH = /^\/checkout\/sandbox\/([\w-]{16,100})(?:\/(pay|decline|cancel))?$/;
const ACTIONS: Readonly<Record<string, SandboxOutcome>> = { pay: 'PAID', decline: 'DECLINED', cancel: 'CANCELED' };

const ENDED: Readonly<Record<SandboxOutcome, string>> = {
  PAID: 'Paid. The credits are in the wallet.',
  DECLINED: 'Declined. Nothing was charged and no credits were added.',
  CANCELED: 'Canceled. Nothing was charged and no credits were added.',
};

export async function serveSandboxCheckout(
  provider: SandboxProvider,
  deliver: DeliverEvent,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, token = '', action] = PATH.exec(pathOf(request)) ?? [];
  const outcome = action === undefined ? undefined : ACTIONS[action];
  if (outcome === undefined ? request.method !== 'GET' : request.method !== 'POST') {
    return answer(response, 405, 'Not this way', '<p>Use the buttons of the checkout page.</p>');
  }
  const checkout = outcome === undefined ? await provider.find(token) : await provider.settle(token, outcome);
  if (!checkout) return answer(response, 404, 'No such checkout', '<p>There is no such checkout.</p>');
  // An end is shown only once the gateway knows of it: whoever opens the page of one that got lost reports it again.
  if (checkout.outcome !== null && !(await reported(provider, deliver, checkout))) {
    return answer(response, 503, 'Try again', retryBody(outcome === undefined ? 'get' : 'post'));
  }
  return answer(response, 200, titleOf(checkout), checkoutBody(checkout, token));
}

/** Asks for the same again, the way this answer was asked for. */
const retryBody = (method: 'get' | 'post'): string => `<h1>Not yet</h1>
<p class="note" role="status">The gateway could not take the news of this payment. Nothing is lost: try again.</p>
<form method="${method}"><button class="primary">Try again</button></form>`;

async function reported(provider: SandboxProvider, deliver: DeliverEvent, checkout: SandboxCheckout): Promise<boolean> {
  const { headers, body } = provider.eventOf(checkout);
  const status = await deliver(headers, body);
  return status >= 200 && status < 300;
}

const TITLES: Readonly<Record<SandboxOutcome, string>> = { PAID: 'Paid', DECLINED: 'Declined', CANCELED: 'Canceled' };

const titleOf = ({ outcome }: SandboxCheckout): string => (outcome === null ? 'Checkout' : TITLES[outcome]);

function checkoutBody(checkout: SandboxCheckout, token: string): string {
  const { description, amountMinor, currency, outcome } = checkout;
  const heading = `<p class="brand">Sandbox checkout</p>
<h1>${escapeHtml(description)}</h1>
<p class="amount">${escapeHtml(formatMoney({ amountMinor, currency }))}</p>`;
  if (outcome !== null)
    return `${heading}\n<p class="note${outcome === 'PAID' ? '' : ' off'}" role="status">${ENDED[outcome]}</p>`;
  const button = (action: string, label: string, primary = false) =>
    `<form method="post" action="${token}/${action}"><button${primary ? ' class="primary"' : ''}>${label}</button></form>`;
  return `${heading}
<p>This is a test payment: no money moves.</p>
<div>${button('pay', 'Pay', true)}${button('decline', 'Decline')}${button('cancel', 'Cancel')}</div>`;
}

function answer(response: ServerResponse, status: number, title: string, body: string): void {
  response.writeHead(status, PAGE_HEADERS).end(renderPage({ title, body }));
}

const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?', 1)[0] ?? '/';
