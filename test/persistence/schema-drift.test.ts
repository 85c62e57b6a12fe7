/**
 * The migrations and prisma/schema.prisma describe one database: what Prisma would make of its schema is compared with
 * what the migrations make, and every difference is one that the first migration documents.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectPath } from '../../src/project-path.ts';
import { query } from '../support/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createEmptyDatabase, execute } from '../support/process-database.ts';
import { printSchemaSql } from '../support/schema-sql.ts';

let declared: TestDatabase;
let migrated: TestDatabase;
beforeAll(async () => {
  migrated = await createDatabase();
  declared = await createEmptyDatabase();
  await execute(declared.adminUrl, await printSchemaSql(projectPath('prisma/schema.prisma')));
});
afterAll(async () => {
  await declared[Symbol.asyncDispose]();
  await migrated[Symbol.asyncDispose]();
});

const IN_PUBLIC = `relnamespace = 'public'::regnamespace AND relname !~ '^_prisma_migrations'`;

/** Each describes one thing per row, by a name and by all that can differ about it. */
const ASPECTS = {
  columns: `SELECT relname || '.' || attname AS name, concat_ws(' ', format_type(atttypid, atttypmod),
      CASE WHEN attnotnull THEN 'NOT NULL' END, 'DEFAULT ' || pg_get_expr(adbin, adrelid), nullif(attgenerated, '')) AS definition
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
    WHERE ${IN_PUBLIC} AND relkind = 'r' AND attnum > 0 AND NOT attisdropped`,
  enums: `SELECT typname AS name, string_agg(enumlabel, ', ' ORDER BY enumsortorder) AS definition
    FROM pg_enum JOIN pg_type t ON t.oid = enumtypid GROUP BY typname`,
  indexes: `SELECT relname AS name, pg_get_indexdef(oid) AS definition FROM pg_class WHERE ${IN_PUBLIC} AND relkind = 'i'`,
  constraints: `SELECT conname AS name, relname || ' ' || pg_get_constraintdef(k.oid) AS definition
    FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid WHERE ${IN_PUBLIC} AND contype IN ('p', 'u', 'f', 'c', 'x')`,
  triggers: `SELECT tgname AS name, pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE NOT tgisinternal`,
  functions: `SELECT proname AS name, '' AS definition FROM pg_proc WHERE pronamespace = 'public'::regnamespace`,
  views: `SELECT relname AS name, '' AS definition FROM pg_class WHERE ${IN_PUBLIC} AND relkind IN ('v', 'm', 'S', 'p')`,
} as const;

async function differences(aspect: keyof typeof ASPECTS) {
  const read = async (database: TestDatabase) => {
    const rows = await query<{ name: string; definition: string }>(database, ASPECTS[aspect]);
    return new Map(rows.map(({ name, definition }) => [name, definition]));
  };
  const [want, have] = [await read(declared), await read(migrated)];
  const names = [...have.keys(), ...want.keys()];
  return {
    compared: want.size,
    missing: names.filter((name) => !have.has(name)).toSorted(),
    extra: names.filter((name) => !want.has(name)).toSorted(),
    different: [...have].filter(([name, definition]) => want.has(name) && want.get(name) !== definition),
  };
}

describe('the migrations make what prisma/schema.prisma declares', () => {
  it('in every column: type, nullability and default; generated ones are extra', async () => {
    const { compared, ...found } = await differences('columns');
    expect(compared).toBeGreaterThan(150);
    expect(found).toEqual({
      missing: [],
      extra: ['ledger_transaction.used_at', 'lot.spendable', 'wallet.settle_at'],
      different: [],
    });
  });

  it('in every enum, value by value', async () => {
    const { compared, ...found } = await differences('enums');
    expect(compared).toBeGreaterThan(10);
    expect(found).toEqual({ missing: [], extra: [], different: [] });
  });

  it('in every index; partial ones and those of the ledger’s filters are extra', async () => {
    const { compared, ...found } = await differences('indexes');
    expect(compared).toBeGreaterThan(30);
    expect(found).toEqual({
      missing: [],
      extra: [
        'activity_execution',
        'activity_task',
        'alert_in_force',
        'alert_one_a_threshold',
        'allocation_project',
        'allocation_user',
        'hold_due',
        'hold_execution',
        'hold_released',
        'hold_task',
        'ledger_entry_effective',
        'ledger_entry_execution',
        'ledger_entry_reason',
        'ledger_entry_task',
        'ledger_transaction_execution',
        'ledger_transaction_hold',
        'ledger_transaction_purchase',
        'ledger_transaction_refunded',
        'ledger_transaction_task',
        'ledger_transaction_usage_posted',
        'ledger_transaction_used',
        'lot_allocated',
        'lot_burn_order',
        'lot_granted',
        'lot_origin',
        'lot_purchase_source',
        'membership_invitation',
        'membership_member',
        'organization_ahead',
        'purchase_to_check',
        'purchase_unanswered',
        'spend_limit_live',
        'wallet_next_charge',
        'wallet_next_close',
        'wallet_settle',
        'wallet_usage_due',
        'webhook_delivery_due',
        'webhook_delivery_leased_until',
      ],
      different: [],
    });
  });

  it('in every key; checks are extra, and the books’ append-only tables check references by a trigger instead', async () => {
    const { compared, missing, extra, different } = await differences('constraints');
    expect(compared).toBeGreaterThan(30);
    expect(different).toEqual([]);
    expect(missing).toEqual([
      'activity_organization_id_fkey',
      'balance_change_transaction_id_fkey',
      'balance_change_wallet_id_fkey',
      'ledger_entry_bucket_id_fkey',
      'ledger_entry_lot_id_fkey',
      'ledger_entry_transaction_id_fkey',
      'ledger_entry_wallet_id_fkey',
      'ledger_transaction_purchase_id_fkey',
      'ledger_transaction_wallet_id_fkey',
    ]);
    const checks = await query<{ name: string }>(
      migrated,
      `SELECT conname AS name FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace`,
    );
    expect(extra).toEqual(checks.map((check) => check.name).toSorted());
  });

  it('and nothing else but the triggers of the append-only tables and their functions', async () => {
    expect(await differences('triggers')).toMatchObject({
      compared: 0,
      extra: [
        'activity_append_only',
        'alert_event_append_only',
        'audit_record_append_only',
        'idempotency_record_append_only',
        'ledger_entry_append_only',
        'ledger_entry_chain',
        'ledger_transaction_append_only',
        'promo_redemption_append_only',
        'statement_append_only',
        'statement_chain',
      ],
    });
    expect(await differences('functions')).toMatchObject({
      compared: 0,
      extra: ['check_ledger_chain', 'check_statement', 'refuse_change'],
    });
    expect(await differences('views')).toMatchObject({ compared: 0, extra: [] });
  });
});
