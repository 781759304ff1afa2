// What the authorization server remembers, in a file, so that it outlives the process: grants, refresh tokens, sessions, settings.
import fs from 'node:fs';

export class Store {
  constructor(file) {
    this.file = file;
    this.entries = new Map(fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : []);
  }

  get(key) {
    return this.entries.get(key);
  }

  set(key, value) {
    this.entries.set(key, value);
    this.save();
  }

  /** Forgets the entries whose key and value are `wanted`; says how many there were. */
  forget(wanted) {
    const keys = [...this.entries].filter(([key, value]) => wanted(key, value)).map(([key]) => key);
    keys.forEach((key) => this.entries.delete(key));
    if (keys.length > 0) this.save();
    return keys.length;
  }

  /** Before whoever changed something is answered. By way of a second file: a process killed here leaves the one or the other. */
  save() {
    fs.writeFileSync(`${this.file}.new`, JSON.stringify([...this.entries]), { mode: 0o600 });
    fs.renameSync(`${this.file}.new`, this.file);
  }

  /** This as oidc-provider wants it, one adapter for each model; `clients` makes up those that are asked for. */
  adapter(clients) {
    return (model) => {
      const key = (id) => `${model}:${id}`;
      const first = (wanted) => [...this.entries].find(([name, value]) => name.startsWith(key('')) && wanted(value))?.[1];
      return {
        find: async (id) => (model === 'Client' ? clients(id) : this.get(key(id))),
        findByUid: async (uid) => first((value) => value.uid === uid),
        findByUserCode: async (code) => first((value) => value.userCode === code),
        upsert: async (id, payload) => this.set(key(id), payload),
        consume: async (id) => this.set(key(id), { ...this.get(key(id)), consumed: Math.floor(Date.now() / 1000) }),
        destroy: async (id) => { this.forget((name) => name === key(id)); },
        revokeByGrantId: async (grant) => { this.forget((name, value) => name.startsWith(key('')) && value.grantId === grant); },
      };
    };
  }
}
