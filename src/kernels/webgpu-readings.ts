/**
 * Data of tensors that are being read back. A reading leaves its values on the host, where tfjs takes them for the present
 * ones: what is written over meanwhile would come back.
 */
export class Readings {
  private readonly underWay = new Map<object, number>();

  has(dataId: object): boolean {
    return this.underWay.has(dataId);
  }

  /** Counts the data as being read until `read` settles. */
  async during<T>(dataId: object, read: () => Promise<T>): Promise<T> {
    this.underWay.set(dataId, (this.underWay.get(dataId) ?? 0) + 1);
    try {
      return await read();
    } finally {
      const left = this.underWay.get(dataId)! - 1;
      if (left > 0) this.underWay.set(dataId, left);
      else this.underWay.delete(dataId);
    }
  }
}
