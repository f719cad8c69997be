import { describe, expect, it } from 'vitest'
import { newConversation } from '../src/chat/conversation'
import { History } from '../src/chat/history'

class Kept implements Storage {
  private readonly values = new Map<string, string>()
  constructor(private readonly room = 1e9) {}
  get length(): number {
    return this.values.size
  }
  clear(): void {
    this.values.clear()
  }
  getItem(name: string): string | null {
    return this.values.get(name) ?? null
  }
  key(index: number): string | null {
    return [...this.values.keys()][index] ?? null
  }
  removeItem(name: string): void {
    this.values.delete(name)
  }
  setItem(name: string, value: string): void {
    if (value.length > this.room) throw new Error('QuotaExceededError')
    this.values.set(name, value)
  }
}

const about = [{ id: 'a'.repeat(20), name: 'scene.tif' }]

describe('the history', () => {
  it('keeps the newest first, each once, apart for each key', () => {
    const storage = new Kept()
    let owner = 'one'
    const history = new History(() => owner, storage)
    const [first, second] = [newConversation(about, 1), newConversation(about, 2)]
    for (const conversation of [first, second, first]) history.keep(conversation)
    expect(history.list().map(({ id }) => id)).toEqual([first.id, second.id])
    owner = 'two'
    expect(history.list()).toEqual([])
    owner = 'one'
    history.forget(first.id)
    expect(history.list().map(({ id }) => id)).toEqual([second.id])
  })

  it('drops the oldest when the store is full, and takes a broken store for an empty one', () => {
    const storage = new Kept(2_000)
    const history = new History(() => 'one', storage)
    for (let moment = 0; moment < 40; moment += 1) history.keep(newConversation(about, moment))
    expect(history.list().length).toBeGreaterThan(3)
    expect(history.list()[0]?.changed).toBe(39)
    storage.setItem('nadir:conversations:one', '{"not": a list')
    expect(history.list()).toEqual([])
  })
})
