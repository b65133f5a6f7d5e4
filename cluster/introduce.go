package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/theseusd/theseus/model"
)

// EnrolPath is where a member's API answers an EnrolRequest.
const EnrolPath = "/api/v3/system/consensus/enroll"

// enrolPatience is how long a member to join through may take to come up.
const enrolPatience = time.Minute

// askToEnrol sends the request to the API of the member to join through, once
// that has shown that it is the cluster which the token is for.
func askToEnrol(ctx context.Context, j Join, r EnrolRequest, log *slog.Logger) (EnrolAnswer, error) {
	print, _, err := splitToken(j.Token)
	if err != nil {
		return EnrolAnswer{}, fmt.Errorf("join %s: %w", j.URL, err)
	}
	to, err := url.JoinPath(j.URL, EnrolPath)
	if err != nil {
		return EnrolAnswer{}, fmt.Errorf("join %s: %w", j.URL, err)
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it, by fingerprint instead of known roots
		VerifyConnection: func(s tls.ConnectionState) error {
			return verifyPrint(s.PeerCertificates, print)
		},
	}}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, enrolPatience)
	defer cancel()
	for {
		answer, err := postEnrol(ctx, client, to, r)
		if err == nil {
			return answer, checkEnrolled(answer, r.ID, print)
		}
		if !worthWaiting(err) {
			return EnrolAnswer{}, fmt.Errorf("join %s: %w", j.URL, err)
		}
		log.Warn("wait for the member to join through", "url", j.URL, "error", err)
		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return EnrolAnswer{}, fmt.Errorf("join %s: %w", j.URL, err)
		}
	}
}

var errWrongCluster = errors.New("its certificate is not of the cluster that the join token is for")

// verifyPrint checks that a server's chain leads to the CA of that fingerprint.
func verifyPrint(chain []*x509.Certificate, print string) error {
	roots := x509.NewCertPool()
	for _, c := range chain {
		if c.IsCA && fingerprint(c) == print {
			roots.AddCert(c)
		}
	}
	if err := verifyChain(chain, roots); err != nil {
		return errWrongCluster
	}
	return nil
}

func worthWaiting(err error) bool {
	return !errors.Is(err, errWrongCluster) && !refusal(err)
}

func postEnrol(ctx context.Context, client *http.Client, to string, r EnrolRequest) (answer EnrolAnswer, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return answer, err
	}
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	post.Header.Set("Content-Type", "application/json")
	got, err := client.Do(post)
	if err != nil {
		return answer, err
	}
	defer got.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(got.Body, callLimit))
	if err != nil {
		return answer, err
	}
	if got.StatusCode != http.StatusOK {
		return answer, enrolRefused(got.StatusCode, raw)
	}
	return answer, json.Unmarshal(raw, &answer)
}

// enrolRefused makes an error of the API's, one to wait out or one to believe.
func enrolRefused(status int, raw []byte) error {
	kind := model.Refused
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		kind = model.Unavailable
	}
	var e model.Error
	if err := json.Unmarshal(raw, &e); err != nil || len(e.Messages) == 0 {
		return model.Problemf(kind, "it answered %d %s", status, http.StatusText(status))
	}
	return &model.Problem{Kind: kind, Messages: e.Messages}
}

// checkEnrolled refuses an answer that is not what the token promised.
func checkEnrolled(a EnrolAnswer, id, print string) error {
	if got, err := Fingerprint([]byte(a.CA)); err != nil || got != print {
		return fmt.Errorf("join: the answer's CA: %w", errWrongCluster)
	}
	cert, err := decodeCert([]byte(a.Certificate))
	if err != nil {
		return fmt.Errorf("join: read the certificate that was issued: %w", err)
	}
	if got, err := memberID(cert); err != nil || got != id || len(a.Peers) == 0 {
		return errors.New("join: the answer holds no certificate for this member, or names no members")
	}
	return nil
}
