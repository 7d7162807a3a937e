/** Installs in this folder what its package-lock.json names, where need be; false where that failed. */
export function setUp(root: string): boolean;
