/** How long the credits of a wallet will last. */
import type { Runway } from '../../operations/runways.ts';
import { builder } from '../builder.ts';

export const RunwayRef = builder.objectRef<Runway>('Runway').implement({
  description: 'How fast credits are spent and how long they will last at that rate. A forecast, not a promise.',
  fields: (t) => ({
    creditsPerDay: t.expose('creditsPerDay', {
      type: 'Credits',
      description:
        'A mean of what was charged for usage in the last 30 days, in UTC, in which a day counts half as much as one seven days newer. Days before the first usage of all do not count; refunds change nothing.',
    }),
    depletesAt: t.expose('depletesAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When nothing will be left to spend at that rate: credits that expire before they would be used do not help, allowances that refresh do as long as the subscription goes on. Held, frozen and scheduled credits do not count. Now where nothing is left; null where nothing is burned, where allowances refresh and it lasts for more than a year, and beyond a century.',
    }),
  }),
});
