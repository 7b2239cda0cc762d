// Waiting for what happens in another program.

/**
 * Returns the first value of `get` that is not `undefined`.
 *
 * @template T
 * @param {() => T | undefined | Promise<T | undefined>} get
 * @returns {Promise<T>}
 */
export async function until(get) {
  for (;;) {
    const value = await get();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
