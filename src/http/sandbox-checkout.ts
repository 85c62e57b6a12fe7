/**
 * The sandbox provider's checkout page: Pay with a card of the payer's choice, Decline, Cancel; Confirm or Settle where the
 * card wants it; and for what was paid Refund, Dispute and its verdict. The page of a charge that nobody was there to pay is
 * the same without the choice. What happens is reported to the gateway by a signed event, before the page answers; asking again reports the same again and
 * shows the same page.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatMoney } from '../domain/money/format-money.ts';
import { DEFAULT_CARD } from '../payments/sandbox/cards.ts';
import type { SandboxAction, SandboxProvider } from '../payments/sandbox/sandbox-provider.ts';
import type { SandboxCheckout, SandboxStage } from '../persistence/payments/sandbox-checkouts.ts';
import { readBody } from './body.ts';
import { escapeHtml, PAGE_HEADERS, renderPage } from './pages.ts';
import { cardChoice, MAX_FORM_BYTES, namedCard, unknownCardBody } from './sandbox-cards.ts';

/** Hands a signed event to the gateway's webhook, as the network would; the HTTP status that it answers. */
export type DeliverEvent = (headers: Readonly<Record<string, string>>, body: string) => Promise<number>;

const PATH = /^\/checkout\/sandbox\/([\w-]{16,100})(?:\/(\w+(?:-\w+)?))?$/;

const LABELS: Readonly<Record<SandboxAction, string>> = {
  pay: 'Pay',
  confirm: 'Confirm',
  settle: 'Settle',
  decline: 'Decline',
  cancel: 'Cancel',
  refund: 'Refund',
  dispute: 'Dispute',
  'dispute-won': 'Dispute is won',
  'dispute-lost': 'Dispute is lost',
};

const isAction = (text: string | undefined): text is SandboxAction => text !== undefined && Object.hasOwn(LABELS, text);

export async function serveSandboxCheckout(
  provider: SandboxProvider,
  deliver: DeliverEvent,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, token = '', named] = PATH.exec(pathOf(request)) ?? [];
  const action = isAction(named) ? named : null;
  const isKnown = named === undefined || action !== null;
  if (!isKnown || (action === null ? request.method !== 'GET' : request.method !== 'POST')) {
    return answer(response, 405, 'Not this way', '<p>Use the buttons of the checkout page.</p>');
  }
  const card = action === 'pay' ? namedCard(await readBody(request, MAX_FORM_BYTES)) : null;
  if (card === 'unknown') return answer(response, 400, 'Unknown card', unknownCardBody());
  const checkout = await (action === null
    ? provider.find(token)
    : action === 'pay'
      ? provider.pay(token, card)
      : provider.act(token, action));
  if (!checkout) return answer(response, 404, 'No such checkout', '<p>There is no such checkout.</p>');
  // What has happened is shown only once the gateway knows of it: whoever opens the page of news that got lost tells it again.
  if (!(await reported(provider, deliver, checkout))) {
    return answer(response, 503, 'Try again', retryBody(action === null ? 'get' : 'post'));
  }
  // Addresses are told from the page's own, wherever a proxy has put it.
  const base = action === null ? `${token}/` : './';
  return answer(response, 200, standingOf(checkout).title, checkoutBody(checkout, base));
}

/** Asks for the same again, the way this answer was asked for. */
const retryBody = (method: 'get' | 'post'): string => `<h1>Not yet</h1>
<p class="note" role="status">The gateway could not take the news of this payment. Nothing is lost: try again.</p>
<form method="${method}"><button class="primary">Try again</button></form>`;

async function reported(provider: SandboxProvider, deliver: DeliverEvent, checkout: SandboxCheckout): Promise<boolean> {
  for (const { headers, body } of provider.eventsOf(checkout)) {
    const status = await deliver(headers, body);
    if (status < 200 || status >= 300) return false;
  }
  return true;
}

/** How things stand with a checkout: what its page says, and what can be done next. */
interface Standing {
  readonly title: string;
  readonly says: string | null;
  readonly isGood: boolean;
  readonly actions: readonly SandboxAction[];
}

const standing = (title: string, says: string | null, ...actions: readonly SandboxAction[]): Standing => ({
  title,
  says,
  isGood: title === 'Paid',
  actions,
});

function waitingAt(stage: SandboxStage): Standing {
  switch (stage) {
    case 'OPEN':
      return standing('Checkout', null, 'pay', 'decline', 'cancel');
    case 'CONFIRMING':
      return standing('Confirm', 'Confirm the payment: your bank asks for it.', 'confirm', 'decline', 'cancel');
    case 'UNDER_WAY':
      return standing('Under way', 'The money is under way. The credits come once it is settled.', 'settle', 'decline');
  }
}

const PAID = 'Paid. The credits are in the wallet.';

function standingOf({ outcome, stage, refundEventId, disputeEventId, verdict }: SandboxCheckout): Standing {
  switch (outcome) {
    case null:
      return waitingAt(stage);
    case 'DECLINED':
      return standing('Declined', 'Declined. Nothing was charged and no credits were added.');
    case 'CANCELED':
      return standing('Canceled', 'Canceled. Nothing was charged and no credits were added.');
    default:
      if (refundEventId !== null) return standing('Refunded', 'Refunded. The credits were taken back.');
      if (verdict === 'LOST') return standing('Dispute lost', 'The dispute is lost. The credits were taken back.');
      if (verdict === 'WON') return standing('Paid', `${PAID} A dispute of it is won.`, 'refund');
      return disputeEventId === null
        ? standing('Paid', PAID, 'refund', 'dispute')
        : standing('Disputed', 'Disputed. The credits are frozen.', 'dispute-won', 'dispute-lost');
  }
}

function checkoutBody(checkout: SandboxCheckout, base: string): string {
  const { description, amountMinor, currency, outcome } = checkout;
  const { says, isGood, actions } = standingOf(checkout);
  const heading = `<p class="brand">Sandbox checkout</p>
<h1>${escapeHtml(description)}</h1>
<p class="amount">${escapeHtml(formatMoney({ amountMinor, currency }))}</p>`;
  const buttons = actions.map((action) => actionForm(action, base)).join('');
  const note = says === null ? '' : `<p class="note${isGood ? '' : ' off'}" role="status">${says}</p>\n`;
  const about =
    outcome === null
      ? '<p>This is a test payment: no money moves.</p>\n'
      : actions.length > 0
        ? '<p>What else the provider of this test payment could report:</p>\n'
        : '';
  return `${heading}\n${note}${about}${actions.length > 0 ? `<div>${buttons}</div>` : ''}`;
}

/** Whoever pays picks a card. */
function actionForm(action: SandboxAction, base: string): string {
  const choice = action === 'pay' ? cardChoice('Pay with this card', DEFAULT_CARD) : '';
  const isPrimary = ['pay', 'confirm', 'settle'].includes(action) ? ' class="primary"' : '';
  return `<form method="post" action="${base}${action}">${choice}<button${isPrimary}>${LABELS[action]}</button></form>`;
}

function answer(response: ServerResponse, status: number, title: string, body: string): void {
  response.writeHead(status, PAGE_HEADERS).end(renderPage({ title, body }));
}

const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?', 1)[0] ?? '/';
