/** The choice of a card on the sandbox provider's pages, and what their forms send of it. */
import { CARDS, isCard } from '../payments/sandbox/cards.ts';
import { SANDBOX_CARDS, type SandboxCard } from '../persistence/payments/sandbox-cards.ts';

/** Far more than the form of a page sends. */
export const MAX_FORM_BYTES = 4096;

/** A labelled group of cards, of which one is picked. */
export function cardChoice(legend: string, picked: SandboxCard): string {
  const options = SANDBOX_CARDS.map((card) => {
    const checked = card === picked ? ' checked' : '';
    const input = `<input type="radio" name="card" value="${card}"${checked}>`;
    return `<label>${input}<span><code>${card}</code> ${CARDS[card].label}</span></label>`;
  });
  return `<fieldset><legend>${legend}</legend>
${options.join('\n')}
</fieldset>`;
}

/** The card that a posted form names; null for none, as scripts post that name none. */
export function namedCard(form: string): SandboxCard | 'unknown' | null {
  const named = new URLSearchParams(form).getAll('card');
  const [card] = named;
  if (card === undefined) return null;
  return named.length === 1 && isCard(card) ? card : 'unknown';
}

export const unknownCardBody = (): string => `<h1>Unknown card</h1>
<p>There is no such card, and nothing has changed. The cards are ${SANDBOX_CARDS.map((card) => `<code>${card}</code>`).join(', ')}.</p>`;
