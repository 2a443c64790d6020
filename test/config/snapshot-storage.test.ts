import { describe, expect, test } from "bun:test";
import { readConfig } from "../../src/config/config.ts";

const key = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "the-secret" };
const storage = (env: Readonly<Record<string, string>>) => readConfig(env).snapshot_storage;

describe("where snapshots are kept", () => {
  test("is nowhere unless it is said, whatever else of AWS is set", () => {
    expect(storage({ AWS_DEFAULT_REGION: "eu-west-1", AWS_PROFILE: "p", ...key })).toBeUndefined();
  });

  test("is a directory, by its whole path", () => {
    expect(storage({ SNAPSHOT_URL: "file:///var/back%20ups/" })).toEqual({ kind: "file", directory: "/var/back ups" });
    expect(storage({ SNAPSHOT_URL: "file:///" })).toEqual({ kind: "file", directory: "/" });
  });

  test("is a bucket, with what names begin with in it, and its key", () => {
    const [bucket, credentials] = [
      { kind: "s3", bucket: "a-bucket" },
      { access_key_id: "id", secret_access_key: "the-secret" },
    ];
    expect(storage({ ...key, SNAPSHOT_URL: "s3://a-bucket" })).toMatchObject({ ...bucket, ...credentials, prefix: "" });
    expect(storage({ ...key, SNAPSHOT_URL: "s3://a-bucket/of/orders/" })).toMatchObject({ ...bucket, prefix: "of/orders/" });
    const elsewhere = { AWS_ENDPOINT_URL: "http://127.0.0.1:9000/", AWS_REGION: "us-east-1", AWS_SESSION_TOKEN: "t" };
    expect(storage({ ...key, ...elsewhere, SNAPSHOT_URL: "s3://a-bucket" })).toMatchObject({
      endpoint: "http://127.0.0.1:9000",
      region: "us-east-1",
      session_token: "t",
    });
  });

  test("has secrets that no log line shows", () => {
    expect(readConfig({ ...key, AWS_SESSION_TOKEN: "the-token" }).secrets).toEqual(["the-secret", "the-token"]);
  });

  test.each([
    ["/var/backups", "A directory is given by its whole path, and without a host: file:///"],
    ["backups", "it must be a URL such as file:///"],
    ["file://host/var", "A directory is given by its whole path, and without a host"],
    ["s3://A_Bucket", "A bucket's name has 3 to 63 small letters, digits, dots and hyphens"],
    ["s3://a-bucket/of orders", "The prefix after the bucket has at most 512 letters, digits, slashes and"],
    ["https://s3.example.org/bucket", "The server's URL goes to AWS_ENDPOINT_URL, and the bucket here: s3://bucket/prefix."],
    ["s3://s3.example.org:9000/bucket", "The server's URL goes to AWS_ENDPOINT_URL"],
    ["s3://a-bucket", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set where SNAPSHOT_URL is s3://"],
  ])("is refused as %s", (url, why) => {
    expect(() => readConfig({ SNAPSHOT_URL: url })).toThrow(why);
  });

  test.each([
    ["s3.example.org", "It begins with http:// or https://."],
    ["http://s3.example.org:99999", "A port is a number from 1 to 65535."],
    ["https://s3.example.org/bucket", "It ends with the host or its port: the bucket and the prefix go to SNAPSHOT_URL."],
    ["https://s3.example.org?bucket", "It ends with the host or its port"],
  ])("has a server that is refused as %s", (url, why) => {
    expect(() => readConfig({ AWS_ENDPOINT_URL: url })).toThrow(why);
  });
});
