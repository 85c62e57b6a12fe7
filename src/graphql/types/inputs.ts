/** Inputs that several mutations share. */
import { builder } from '../builder.ts';

export const UsageInputRef = builder.inputType('UsageInput', {
  description: 'One line of usage.',
  fields: (t) => ({
    meter: t.string({ required: true, description: 'A meter of the rate card: "scrape", "llm.input_tokens".' }),
    quantity: t.field({ type: 'Decimal', description: 'How much, in units of the meter; not negative. 1 without it.' }),
    dimensions: t.field({
      type: 'JSON',
      description:
        'What the rate depends on, an object of text, numbers and booleans: { "model": "large", "render_js": true }. `model`, `modality` and `operation` have at most 128 characters; reports group by them.',
    }),
    preview: t.boolean({
      description: 'True for a preview, which only rates of previews price. False without it.',
    }),
  }),
});
