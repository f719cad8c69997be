/** A value that tells whoever listens when it changes. */
export class Signal<T> {
  private readonly listeners = new Set<(value: T) => void>()

  constructor(private held: T) {}

  get value(): T {
    return this.held
  }

  set(value: T): void {
    this.held = value
    for (const listener of [...this.listeners]) listener(value)
  }

  /** Listen, beginning with the value as it is. */
  subscribe(listener: (value: T) => void): void {
    this.listeners.add(listener)
    listener(this.held)
  }
}
