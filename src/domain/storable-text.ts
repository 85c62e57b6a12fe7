/** True for text that PostgreSQL can keep: well-formed Unicode without NUL. */
export const isStorableText = (text: string): boolean => !text.includes('\0') && text.isWellFormed();
