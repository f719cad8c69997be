/** The server behind the page: every request, with the key where one is given, and refusals as sentences. */
import { Signal } from '../page/signal'
import { type Piece, readPieces } from './events'
import type { Answer, Question, Raster, TileSet } from './records'
import { Refusal, refusalOf, UNREACHABLE } from './refusal'

const KEY_NAME = 'nadir:key'
const MOST_NEW_TOKENS = 512

export class Server {
  /** Whether the server has refused for want of a key. */
  readonly locked = new Signal(false)
  /** The model, and adapters of it that can be asked instead. */
  models: string[] = []
  private key = sessionStorage.getItem(KEY_NAME) ?? localStorage.getItem(KEY_NAME)

  /** Name whose questions these are, without the key itself: its hash (FNV-1a). */
  get owner(): string {
    let hash = 0x811c9dc5
    for (const letter of this.key ?? '') hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0
    return this.key ? hash.toString(16) : 'everybody'
  }

  /** Use a key from now on, for this tab or (`keep`) on this device; null forgets it. */
  useKey(key: string | null, keep: boolean): void {
    this.key = key
    for (const storage of [sessionStorage, localStorage]) storage.removeItem(KEY_NAME)
    if (key) (keep ? localStorage : sessionStorage).setItem(KEY_NAME, key)
  }

  /** Learn who answers. */
  async greet(): Promise<string[]> {
    const { data } = await this.json<{ data: { id: string }[] }>('/v1/models')
    this.models = data.map(({ id }) => id)
    return this.models
  }

  async rasters(): Promise<Raster[]> {
    return (await this.json<{ data: Raster[] }>('/v1/rasters')).data
  }

  async tiles(raster: string): Promise<TileSet> {
    return this.json<TileSet>(`/tiles/${encodeURIComponent(raster)}`)
  }

  async remove(raster: string): Promise<void> {
    await this.send(`/v1/rasters/${encodeURIComponent(raster)}`, { method: 'DELETE' })
  }

  /** Fetch a map tile; null where the raster has none. */
  async tile(url: string, signal?: AbortSignal): Promise<ImageBitmap | null> {
    try {
      const response = await this.send(url, signal ? { signal } : {})
      return await createImageBitmap(await response.blob())
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return null
      throw error
    }
  }

  /** Ask, and give the answer as it comes. */
  async *ask(question: Question, signal: AbortSignal): AsyncGenerator<Piece> {
    const files = question.images.map((id) => ({ type: 'file', file: { file_id: id } }))
    const body = {
      model: question.model || this.models[0],
      stream: true,
      max_tokens: MOST_NEW_TOKENS,
      messages: [
        ...question.before.map(({ role, text }) => ({ role, content: text })),
        { role: 'user', content: [...files, { type: 'text', text: question.words }] },
      ],
      nadir: question.options,
    }
    const response = await this.post('/v1/chat/completions', body, signal)
    if (!response.body) throw new Refusal(0, UNREACHABLE)
    yield* readPieces(response.body)
  }

  /** Have the regions of an answer written as a file. */
  async export(answer: Answer, images: string[], format: 'gpkg' | 'geojson'): Promise<Blob> {
    const regions = answer.regions.map(({ geometry_px, phrase, image }) => ({ geometry_px, phrase, image }))
    const { instruction, text } = answer
    return (await this.post('/v1/exports', { format, images, regions, instruction, text })).blob()
  }

  /** Send a file, telling its share from 0 to 1 as it goes; aborting leaves nothing on the server. */
  upload(file: File, tell: (share: number) => void, signal: AbortSignal): Promise<Raster> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest()
      request.open('POST', `/v1/rasters?name=${encodeURIComponent(file.name)}`)
      for (const [name, value] of Object.entries(this.headers())) request.setRequestHeader(name, value)
      request.setRequestHeader('Content-Type', 'application/octet-stream')
      request.upload.onprogress = (event) => event.lengthComputable && tell(event.loaded / event.total)
      request.onerror = () => reject(new Refusal(0, UNREACHABLE))
      request.onabort = () => reject(new Refusal(0, 'the upload was stopped: nothing was kept'))
      request.onload = () => {
        if (request.status === 201) resolve(JSON.parse(request.responseText) as Raster)
        else reject(this.refuse(request.status, request.responseText))
      }
      signal.addEventListener('abort', () => request.abort())
      request.send(file)
    })
  }

  private headers(): Record<string, string> {
    return this.key ? { Authorization: `Bearer ${this.key}` } : {}
  }

  private refuse(status: number, body: string): Refusal {
    if (status === 401) this.locked.set(true)
    return refusalOf(status, body)
  }

  private async json<T>(path: string): Promise<T> {
    return (await (await this.send(path)).json()) as T
  }

  private post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    const headers = { 'Content-Type': 'application/json' }
    return this.send(path, { method: 'POST', headers, body: JSON.stringify(body), ...(signal ? { signal } : {}) })
  }

  private async send(path: string, options: RequestInit = {}): Promise<Response> {
    let response: Response
    try {
      response = await fetch(path, { ...options, headers: { ...options.headers, ...this.headers() } })
    } catch (error) {
      if (options.signal?.aborted) throw error
      throw new Refusal(0, UNREACHABLE)
    }
    if (!response.ok) throw this.refuse(response.status, await response.text())
    return response
  }
}
