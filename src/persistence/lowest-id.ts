/** Before the id of every row; no row has it. */
export const LOWEST_ID = '00000000-0000-0000-0000-000000000000';
