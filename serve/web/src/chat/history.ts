/** Conversations in the browser's own store, those of one server and key; the oldest go when it is full. */
import type { Conversation } from './conversation'

const MOST = 60
const MOST_TRACE = 40

export class History {
  constructor(
    private readonly owner: () => string,
    private readonly storage: Storage = localStorage,
  ) {}

  /** List what is kept, the newest first; what cannot be read is nothing. */
  list(): Conversation[] {
    try {
      const kept: unknown = JSON.parse(this.storage.getItem(this.name) ?? '[]')
      return Array.isArray(kept) ? (kept as Conversation[]) : []
    } catch {
      return []
    }
  }

  /** Keep a conversation as it is now. */
  keep(conversation: Conversation): void {
    const others = this.list().filter(({ id }) => id !== conversation.id)
    this.write([slim(conversation), ...others].slice(0, MOST))
  }

  forget(id: string): void {
    this.write(this.list().filter((kept) => kept.id !== id))
  }

  clear(): void {
    this.storage.removeItem(this.name)
  }

  private get name(): string {
    return `nadir:conversations:${this.owner()}`
  }

  private write(conversations: Conversation[]): void {
    for (let count = conversations.length; count > 0; count = Math.floor(count / 2)) {
      try {
        this.storage.setItem(this.name, JSON.stringify(conversations.slice(0, count)))
        return
      } catch {}
    }
    this.clear()
  }
}

function slim(conversation: Conversation): Conversation {
  const turns = conversation.turns.map((turn) => ({
    ...turn,
    state: turn.state === 'asking' ? ('stopped' as const) : turn.state,
    answer: turn.answer && { ...turn.answer, trace: turn.answer.trace.slice(0, MOST_TRACE) },
  }))
  return { ...conversation, turns }
}
