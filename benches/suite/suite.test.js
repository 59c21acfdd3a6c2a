// The tests of `cargo bench --bench suite` with Vitest and the official SDK. SERVER is the server's address, and ROUND makes the
// users different in each run.
import { Client, HTTPMessageHandler } from '@microsoft/microsoft-graph-client'
import { describe, expect, test } from 'vitest'

const { SERVER, ROUND, TESTS, NEW_CONTACT } = process.env
const contact = JSON.parse(NEW_CONTACT)

describe.concurrent('tests with a mailbox each', () => {
  test.each([...Array(Number(TESTS)).keys()])('test %i', async (number) => {
    // The SDK's own authentication sends no token without TLS.
    const client = Client.initWithMiddleware({ middleware: new HTTPMessageHandler(), baseUrl: SERVER })
    const api = (path) => client.api(path).header('Authorization', `Bearer suite-${ROUND}-${number}`)
    let last
    for (let i = 0; i < 3; i++) last = await api('/me/contacts').post(contact)
    expect((await api('/me/contacts').get()).value).toHaveLength(3)
    expect((await api(`/me/contacts/${last.id}`).get()).givenName).toBe('Ann')
    await api(`/me/contacts/${last.id}`).patch({ jobTitle: 'Engineer' })
    await api(`/me/contacts/${last.id}`).delete()
  })
})
