/** The rate card: what usage costs. */
import type { Rate, RateCard, RateTier } from '../../domain/pricing/rate-card.ts';
import { builder } from '../builder.ts';
import { RateRoundingEnum, RateShapeEnum } from './enums.ts';

const RateTierRef = builder.objectRef<RateTier>('RateTier').implement({
  description: 'The price of a range of units within a billing period. A tier begins where the one before it ends.',
  fields: (t) => ({
    upTo: t.expose('upTo', {
      type: 'Decimal',
      nullable: true,
      description:
        'The last unit of the tier, inclusive, counted from the start of the billing period without free units; more than 0. Null for the last tier, which has no end.',
    }),
    credits: t.expose('credits', {
      type: 'Decimal',
      description: 'Credits for `per` units of the rate; never negative, any precision.',
    }),
  }),
});

const RateRef = builder.objectRef<Rate>('Rate').implement({
  description: 'What one meter costs, for usage with certain dimensions or for any.',
  fields: (t) => ({
    meter: t.exposeString('meter', { description: 'The meter.' }),
    description: t.exposeString('description', { nullable: true, description: 'One sentence for people.' }),
    unit: t.exposeString('unit', { description: 'What one unit of quantity is.' }),
    shape: t.expose('shape', { type: RateShapeEnum, description: 'How quantity is turned into credits.' }),
    match: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Dimensions that usage must have for this rate; null for any. The most specific match wins.',
      resolve: (rate) => rate.match,
    }),
    preview: t.exposeBoolean('preview', {
      description: 'True for a rate of previews: it prices those, and no other usage.',
    }),
    credits: t.expose('credits', {
      type: 'Decimal',
      description: 'Credits for `per` units, those of the first tier where there are tiers; never negative.',
    }),
    per: t.expose('per', {
      type: 'Decimal',
      description: 'The number of units that `credits` pays for; more than 0. Without meaning for FLAT.',
    }),
    tiers: t.field({
      type: [RateTierRef],
      description: 'The tiers of a GRADUATED or VOLUME rate, in ascending order; empty for other shapes.',
      resolve: (rate) => [...rate.tiers],
    }),
    freeUnits: t.expose('freeUnits', {
      type: 'Decimal',
      description:
        'The first units of every monthly billing period, which cost nothing; 0 for none. A FLAT rate is charged from the first usage line that goes beyond them.',
    }),
    minimumCredits: t.expose('minimum', {
      type: 'Credits',
      description: 'The least that a usage line costs which has units beyond the free ones; 0 for none.',
    }),
    roundTo: t.field({
      type: 'Credits',
      description: 'The price of a usage line is rounded once, to a multiple of this; more than 0, usually 0.000001.',
      resolve: (rate) => rate.rounding.increment,
    }),
    rounding: t.field({
      type: RateRoundingEnum,
      description: 'How it is rounded.',
      resolve: (rate) => rate.rounding.mode,
    }),
  }),
});

export const RateCardRef = builder.objectRef<RateCard>('RateCard').implement({
  description: 'All rates in force from an instant on.',
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'Its number; entries name the version that priced them.' }),
    effectiveAt: t.expose('effectiveAt', { type: 'DateTime', description: 'From when it prices usage.' }),
    rates: t.field({
      type: [RateRef],
      description: 'Its rates, as in the catalog.',
      resolve: (card) => [...card.rates],
    }),
  }),
});
