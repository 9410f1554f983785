-- Who asks: API keys, clients, campaigns, and the media they bring.

CREATE TABLE api_keys (
    id           text PRIMARY KEY CHECK (id ~ '^[a-z0-9]{4,32}$'),
    name         text NOT NULL CHECK (name <> ''),
    -- SHA-256 of the secret part: high-entropy keys need no slow hash.
    secret_hash  bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    scopes       text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0),
    client_id    uuid,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

CREATE TABLE clients (
    id               uuid PRIMARY KEY,
    name             text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    description      text,
    homepage         text,
    metadata         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    brand_guidelines text,
    inserted_at      timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX clients_newest ON clients (inserted_at DESC, id);

ALTER TABLE api_keys ADD CONSTRAINT api_keys_client FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE;

CREATE TABLE campaigns (
    id          uuid PRIMARY KEY,
    client_id   uuid NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    -- A string or an object, as the caller sent it.
    brief       jsonb,
    goal        text,
    status      text,
    product_url text,
    metadata    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    -- Video names count up per campaign; taken under this row's lock.
    videos_named integer NOT NULL DEFAULT 0,
    inserted_at timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX campaigns_by_client ON campaigns (client_id, inserted_at DESC);

-- One row per distinct content in the object store; the bytes are there, never here.
CREATE TABLE media (
    digest       text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
    bytes        bigint NOT NULL CHECK (bytes >= 0),
    content_type text NOT NULL,
    width        integer CHECK (width > 0),
    height       integer CHECK (height > 0),
    duration_ms  bigint CHECK (duration_ms >= 0),
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE assets (
    id               uuid PRIMARY KEY,
    client_id        uuid REFERENCES clients (id) ON DELETE CASCADE,
    campaign_id      uuid REFERENCES campaigns (id) ON DELETE CASCADE,
    type             text NOT NULL CHECK (type IN ('image', 'video', 'audio')),
    name             text NOT NULL,
    description      text,
    tags             text[] NOT NULL DEFAULT '{}',
    source_url       text,
    digest           text NOT NULL REFERENCES media (digest),
    thumbnail_digest text REFERENCES media (digest),
    metadata         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    inserted_at      timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (client_id IS NOT NULL OR campaign_id IS NOT NULL)
);
CREATE INDEX assets_by_campaign ON assets (campaign_id, inserted_at DESC, id);
CREATE INDEX assets_by_client ON assets (client_id, inserted_at DESC, id);
CREATE INDEX assets_newest ON assets (inserted_at DESC, id);
CREATE INDEX campaigns_newest ON campaigns (inserted_at DESC, id);
